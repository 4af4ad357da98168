// Puts together what `http.tls` says: certificates from their files, watched for changes. A part of
// compose.ts: it knows every room, and decides nothing that a room could decide.
import { type HttpConfig, opensslSuites } from "./config/index.ts";
import { certificateFiles, clientCaFiles, type TlsParts, type Watching } from "./http/index.ts";
import type { Logger } from "./observability/index.ts";
import { systemClock } from "./registry/ports/clock.ts";

export interface ComposedTls {
  readonly parts: TlsParts;
  /** Reads certificates and CAs again at once; what cannot be used is refused and logged. */
  readAgain(): void;
  close(): void;
}

/** Null: no TLS. @throws Error naming the key of the configuration and the file that cannot be used. */
export function composeTls({ tls }: HttpConfig, logger: Logger): ComposedTls | null {
  if (tls === null) return null;
  const { clientCas, clientAuth, minimumVersion } = tls;
  const watch = { clock: systemClock, logger };
  const certificates = certificateFiles(tls, watch);
  const watched: Watching[] = [certificates];
  const closeAll = (): void => {
    for (const one of watched) one.close();
  };
  try {
    const authorities = clientCas.length === 0 ? null : clientCaFiles(clientCas, watch);
    if (authorities !== null) watched.push(authorities);
    const verified = clientAuth === "require-and-verify-client-cert";
    return {
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
    closeAll();
    throw error;
  }
}
