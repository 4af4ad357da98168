// Puts together what `http.tls.letsencrypt` says: who keeps the certificate, and the server that answers
// the CA.
import { logTo } from "./log.ts";
import type { HttpConfig, LetsEncryptConfig } from "../config/index.ts";
import { type CertificateSource, startChallengeServer } from "../http/index.ts";
import type { Logger } from "../observability/index.ts";
import { sleep, systemClock } from "../registry/ports/clock.ts";

interface Acme {
  readonly certificates: CertificateSource;
  isVouchedFor(): boolean;
  close(): Promise<void>;
}

/** @throws Error when the cache cannot be used, or the address for the CA is taken. */
export async function composeAcme(
  { host }: HttpConfig,
  { cacheDirectory, challengeListen, ...settings }: LetsEncryptConfig,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<Acme> {
  // Only where it is configured.
  const { CertificateCache, CertificateKeeper, makeStandIn, placeOrder } =
    await import("../acme/index.ts");
  const keeper = await CertificateKeeper.open(
    {
      settings,
      cache: new CertificateCache(cacheDirectory),
      placeOrder,
      makeStandIn,
      clock: systemClock,
      sleep,
      random: Math.random,
      log: logTo(logger),
    },
    signal,
  );
  const server = await startChallengeServer(challengeListen, {
    answerTo: (token) => keeper.challengeAnswer(token),
    hosts: settings.hosts,
    host,
  }).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`http.tls.letsencrypt.challengeaddr: ${reason}`, { cause: error });
  });
  logger.info(`http.tls.letsencrypt: the CA is answered on ${server.address}`);
  keeper.start();
  return {
    certificates: keeper,
    isVouchedFor: () => keeper.isVouchedFor(),
    close: async () => {
      await keeper.stop();
      await server.stop();
    },
  };
}
