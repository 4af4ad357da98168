// Puts together what `http.tls` says: certificates from their files, watched for changes, or from a CA.
import { composeAcme } from "./acme.ts";
import { type HttpConfig, opensslSuites } from "../config/index.ts";
import {
  type CertificateSource,
  certificateFiles,
  clientCaFiles,
  type TlsParts,
  type Watching,
} from "../http/index.ts";
import type { Logger } from "../observability/index.ts";
import { systemClock } from "../registry/ports/clock.ts";

export interface ComposedTls {
  readonly parts: TlsParts;
  /** Of its certificates. */
  readonly source: "files" | "letsencrypt";
  /** In PEM, what clients see; null while that is one that nobody vouches for. */
  readonly shown: () => string | null;
  /** Reads certificates and CAs again at once; what cannot be used is refused and logged. */
  readAgain(): void;
  close(): Promise<void>;
}

/**
 * Null: no TLS. @throws Error naming the key of the configuration and the file that cannot be used.
 * @param signal stops a start.
 */
export async function composeTls(
  http: HttpConfig,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<ComposedTls | null> {
  const { tls } = http;
  if (tls === null) return null;
  const { clientCas, clientAuth, minimumVersion, letsEncrypt } = tls;
  const watch = { clock: systemClock, logger };
  const watched: Watching[] = [];
  const acme =
    letsEncrypt === null ? null : await composeAcme(http, letsEncrypt, { logger, signal });
  const closeAll = async (): Promise<void> => {
    for (const one of watched) one.close();
    await acme?.close();
  };
  try {
    let certificates: CertificateSource;
    if (acme === null) {
      const files = certificateFiles(tls, watch);
      watched.push(files);
      certificates = files;
    } else ({ certificates } = acme);
    const authorities = clientCas.length === 0 ? null : clientCaFiles(clientCas, watch);
    if (authorities !== null) watched.push(authorities);
    const verified = clientAuth === "require-and-verify-client-cert";
    return {
      source: acme === null ? "files" : "letsencrypt",
      shown: () => (acme?.isVouchedFor() === false ? null : certificates.current().certificate),
      parts: {
        certificates,
        clients: authorities === null ? null : { authorities, verified },
        minimumVersion,
        cipherSuites: opensslSuites(tls.cipherSuites),
      },
      readAgain: () => {
        for (const one of watched) one.readAgain();
      },
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
