// A certificate with its key, as PEM: until when it counts, and for which hosts. Reads what a CA or a
// file gave, and believes neither.
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { TlsCertificate } from "../http/index.ts";

export interface Checked extends TlsCertificate {
  readonly validFromMs: number;
  readonly validToMs: number;
  readonly names: string;
  /** For all of them. */
  isFor(hosts: readonly string[]): boolean;
}

const block = /-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g;

/** @throws Error saying what is wrong with it. */
export function checkedCertificate({ certificate, key }: TlsCertificate): Checked {
  const leaf = new X509Certificate(certificate);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) {
    throw new Error("the key is not that of the certificate");
  }
  return {
    certificate,
    key,
    validFromMs: Date.parse(leaf.validFrom),
    validToMs: Date.parse(leaf.validTo),
    names: (leaf.subjectAltName ?? leaf.subject).replaceAll("DNS:", "").slice(0, 200),
    isFor: (hosts) => hosts.every((host) => leaf.checkHost(host) !== undefined),
  };
}

/** As a file of Go's autocert has it: the key, then the certificate and those that lead to its CA. */
export function joined({ certificate, key }: TlsCertificate): string {
  return `${key.trim()}\n${certificate.trim()}\n`;
}

/** @throws Error */
export function parted(text: string): TlsCertificate {
  const blocks = Array.from(text.matchAll(block), ([pem, kind = ""]) => ({ pem, kind }));
  const key = blocks.find(({ kind }) => kind.endsWith("PRIVATE KEY"))?.pem;
  const chain = blocks.filter(({ kind }) => kind === "CERTIFICATE").map(({ pem }) => pem);
  if (key === undefined || chain.length === 0) throw new Error("it holds no key and certificate");
  return { certificate: `${chain.join("\n")}\n`, key: `${key}\n` };
}
