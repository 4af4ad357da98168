// Until when the certificate counts that clients see: looked at whenever the metrics are read, parsed only
// when it is another one.
import { X509Certificate } from "node:crypto";
import { Gauge, type Registry } from "prom-client";

export interface ShownCertificate {
  readonly source: "files" | "letsencrypt";
  /** In PEM; the first is the server's own. Null: one that nobody vouches for, until a CA gives another. */
  readonly current: () => string | null;
}

export class CertificateMetrics {
  #shown: ShownCertificate | null = null;
  #read: string | null = "";

  constructor(register: Registry) {
    const expiry = new Gauge({
      name: "plimsoll_tls_certificate_expiry_timestamp_seconds",
      help: "Until when the certificate counts that clients see; 0 while nobody vouches for it, none without http.tls.",
      labelNames: ["source"],
      registers: [register],
      collect: () => {
        if (this.#shown === null) return;
        const { source, current } = this.#shown;
        const certificate = current();
        if (certificate === this.#read) return;
        this.#read = certificate;
        expiry.set({ source }, certificate === null ? 0 : endOf(certificate));
      },
    });
  }

  show(shown: ShownCertificate): void {
    this.#shown = shown;
  }
}

/** In seconds since 1970. */
function endOf(certificate: string): number {
  return Date.parse(new X509Certificate(certificate).validTo) / 1000;
}
