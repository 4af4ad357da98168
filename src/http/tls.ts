// What TLS needs, and from where it comes: certificates and the CAs of clients may change while the
// server runs (tls-listener.ts), the rest is said once. Knows no files: file-source.ts reads them, and
// an ACME client is a source as well.

/** What may change while the server runs. */
export interface Source<T> {
  /** What counts now; checked, so that a listener can be opened with it. Cheap: nothing is read. */
  current(): T;
  /** Tells that `current` gives something else from now on. What it returns ends that. */
  onChange(listener: () => void): () => void;
}

/** In PEM. */
export interface TlsCertificate {
  /** The server's own, and after it those that lead to its CA. */
  readonly certificate: string;
  /** Without a passphrase. Never log it. */
  readonly key: string;
}

/** One that has none yet gives a stand-in that it signs itself: a port cannot be opened with nothing. */
export type CertificateSource = Source<TlsCertificate>;

/** The certificates of CAs, in PEM. */
export type ClientCaSource = Source<readonly string[]>;

export type TlsVersion = "tls1.0" | "tls1.1" | "tls1.2" | "tls1.3";

export interface TlsParts {
  readonly certificates: CertificateSource;
  /** Null: clients are not asked for a certificate. */
  readonly clients: {
    readonly authorities: ClientCaSource;
    /** False: they are asked, and whatever they answer is taken (`request-client-cert`). */
    readonly verified: boolean;
  } | null;
  readonly minimumVersion: TlsVersion;
  /** Up to TLS 1.2, by OpenSSL's names, the best first. Of TLS 1.3 all are offered. */
  readonly cipherSuites: readonly string[];
}

const versionNumbers: Readonly<Record<TlsVersion, number>> = {
  "tls1.0": 0x03_01,
  "tls1.1": 0x03_02,
  "tls1.2": 0x03_03,
  "tls1.3": 0x03_04,
};

/** The runtime's own form of it; `minVersion` is not in its types. */
export function runtimeTls(parts: TlsParts): Bun.TLSOptions & { readonly minVersion: number } {
  const { certificate, key } = parts.certificates.current();
  const { clients, minimumVersion, cipherSuites } = parts;
  return {
    cert: certificate,
    key,
    minVersion: versionNumbers[minimumVersion],
    ...(cipherSuites.length === 0 ? {} : { ciphers: cipherSuites.join(":") }),
    ...(clients === null
      ? {}
      : {
          ca: [...clients.authorities.current()],
          requestCert: true,
          rejectUnauthorized: clients.verified,
        }),
  };
}

/** Tells of the changes of everything that may change. What it returns ends that. */
export function onTlsChange({ certificates, clients }: TlsParts, listener: () => void): () => void {
  const ends = [certificates.onChange(listener), clients?.authorities.onChange(listener)];
  return () => {
    for (const end of ends) end?.();
  };
}
