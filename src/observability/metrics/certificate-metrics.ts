// Until when the certificate counts that clients see: looked at whenever the metrics are read, parsed only
// when it is another one.
import { X509Certificate } from "node:crypto";
import { Gauge, type Registry } from "prom-client";

export interface ShownCertificate {
  readonly source: "files" | "letsencrypt";
  /** In PEM; the first is the server's own. */
  readonly current: () => string;
}

export class CertificateMetrics {
  #shown: ShownCertificate | null = null;
  #read = "";

  constructor(register: Registry) {
    const expiry = new Gauge({
      name: "plimsoll_tls_certificate_expiry_timestamp_seconds",
      help: "Until when the certificate counts that clients see; none without http.tls.",
      labelNames: ["source"],
      registers: [register],
      collect: () => {
        if (this.#shown === null) return;
        const { source, current } = this.#shown;
        const certificate = current();
        if (certificate === this.#read) return;
        this.#read = certificate;
        expiry.set({ source }, Date.parse(new X509Certificate(certificate).validTo) / 1000);
      },
    });
  }

  show(shown: ShownCertificate): void {
    this.#shown = shown;
  }
}
