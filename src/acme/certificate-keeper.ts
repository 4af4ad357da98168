// Keeps the certificate that the server shows: takes it from the cache, has the CA renew it before a third
// of its life is left, repeats what fails. While there is none it shows one that it signs itself, since a
// port cannot be opened with nothing. No failure ever ends it: the old certificate stays.
import type { CertificateSource, TlsCertificate } from "../http/index.ts";
import type { Clock } from "../registry/ports/clock.ts";
import { type Checked, checkedCertificate, joined, parted } from "./certificate.ts";
import type { CertificateCache } from "./certificate-cache.ts";
import type { OrderHandlers } from "./order.ts";
import type { Order } from "./order-messages.ts";
import { renewalMs, retryMs } from "./renewal-times.ts";

/** A clock that is set is noticed after this long. */
const sleepMsMax = 600_000;

/** Of the life of a new certificate: where a clock is wrong it may seem due at once, again and again. */
const lifePartPause = 1 / 10;

export interface AcmeSettings {
  readonly directoryUrl: string;
  /** "": none. */
  readonly email: string;
  /** At least one; the first names the file. */
  readonly hosts: readonly string[];
}

export interface KeeperParts {
  readonly settings: AcmeSettings;
  readonly cache: CertificateCache;
  readonly placeOrder: (
    order: Order,
    handlers: OrderHandlers,
    signal: AbortSignal,
  ) => Promise<TlsCertificate>;
  readonly makeStandIn: (hosts: readonly string[], signal: AbortSignal) => Promise<TlsCertificate>;
  readonly clock: Clock;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  readonly log: Readonly<Record<"info" | "warn" | "error", (message: string) => void>>;
}

export class CertificateKeeper implements CertificateSource {
  readonly #parts: KeeperParts;
  readonly #stop = new AbortController();
  readonly #listeners = new Set<() => void>();
  readonly #answers = new Map<string, string>();
  #shown: Checked;
  /** Due at once: whatever is better takes its place. */
  #isStandIn: boolean;
  #renewMs: number;
  #running: Promise<void> = Promise.resolve();

  private constructor(parts: KeeperParts, { certificate, renewMs, isStandIn }: Shown) {
    this.#parts = parts;
    this.#shown = certificate;
    this.#renewMs = renewMs;
    this.#isStandIn = isStandIn;
  }

  /** @param signal stops a start. @throws Error when nothing can be kept. */
  static async open(parts: KeeperParts, signal: AbortSignal): Promise<CertificateKeeper> {
    await parts.cache.prepare();
    const kept = await keptCertificate(parts);
    if (kept !== null) return new CertificateKeeper(parts, kept);
    const certificate = checkedCertificate(await parts.makeStandIn(parts.settings.hosts, signal));
    return new CertificateKeeper(parts, { certificate, renewMs: 0, isStandIn: true });
  }

  current(): TlsCertificate {
    return this.#shown;
  }

  /** False: clients see the stand-in, and refuse it. */
  isVouchedFor(): boolean {
    return !this.#isStandIn;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** What to say to a CA that asks for a token (RFC 8555, 8.3); null: no token of ours. */
  challengeAnswer(token: string): string | null {
    return this.#answers.get(token) ?? null;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, sleep, random } = this.#parts;
    const { signal } = this.#stop;
    let failures = 0;
    let askedMs = Number.NEGATIVE_INFINITY;
    for (let dueMs = this.#renewMs; !signal.aborted;) {
      const nowMs = clock.now();
      if (nowMs < askedMs) {
        // Reckoned by a clock that has been put back, it may be years away. The CA's is right.
        dueMs = failures === 0 ? renewalMs(this.#shown, random()) : nowMs;
        askedMs = nowMs;
      }
      const waitMs = dueMs - nowMs;
      if (waitMs > 0) {
        await sleep(Math.min(waitMs, sleepMsMax), signal);
        continue;
      }
      failures = (await this.#renew(failures)) ? 0 : failures + 1;
      askedMs = clock.now();
      dueMs = failures === 0 ? this.#renewMs : clock.now() + retryMs(failures, random());
    }
  }

  async #renew(failures: number): Promise<boolean> {
    const { settings, log, random, clock } = this.#parts;
    const { hosts, directoryUrl } = settings;
    const names = hosts.join(", ");
    log.info(`http.tls.letsencrypt: asking ${directoryUrl} for a certificate for ${names}`);
    try {
      const gotten = checkedCertificate(await this.#order());
      if (!gotten.isFor(hosts)) throw new Error(`the CA's certificate is for ${gotten.names}`);
      await this.#keep(gotten);
      this.#shown = gotten;
      this.#isStandIn = false;
      const pauseMs = (gotten.validToMs - gotten.validFromMs) * lifePartPause;
      this.#renewMs = Math.max(renewalMs(gotten, random()), clock.now() + pauseMs);
      log.info(
        `http.tls.letsencrypt: certified for ${gotten.names} until ${dateText(gotten.validToMs)}; renewed after ${dateText(this.#renewMs)}`,
      );
      for (const listener of this.#listeners) listener();
      return true;
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      const reason = (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
      const wait = Math.round(retryMs(failures + 1, 0) / 60_000);
      const shown = this.#isStandIn
        ? "Until then clients see one that nobody vouches for"
        : `The one that is there is valid until ${dateText(this.#shown.validToMs)}`;
      log.error(
        `http.tls.letsencrypt: no certificate for ${names}: ${reason}; tried again in ${wait} minutes. ${shown}`,
      );
      return false;
    } finally {
      this.#answers.clear();
    }
  }

  async #order(): Promise<TlsCertificate> {
    const { settings, cache, placeOrder } = this.#parts;
    const accountKey = await cache.accountKey();
    const handlers: OrderHandlers = {
      keepAccountKey: (key) => cache.keepAccountKey(key),
      challenge: (token, answer) => {
        this.#answers.set(token, answer);
      },
    };
    return await placeOrder({ ...settings, accountKey }, handlers, this.#stop.signal);
  }

  /** What cannot be kept is used all the same: the next start asks for another. */
  async #keep(gotten: Checked): Promise<void> {
    const { cache, settings, log } = this.#parts;
    const { hosts, directoryUrl } = settings;
    try {
      await cache.keepCertificate(hosts[0] ?? "", { text: joined(gotten), directoryUrl });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error(`http.tls.letsencrypt: the certificate cannot be kept: ${reason}`);
    }
  }
}

interface Shown {
  readonly certificate: Checked;
  readonly renewMs: number;
  readonly isStandIn: boolean;
}

/** Null: there is none that could be shown. */
async function keptCertificate(parts: KeeperParts): Promise<Shown | null> {
  const { cache, settings, log, random } = parts;
  const [host = ""] = settings.hosts;
  try {
    const kept = await cache.certificate(host);
    if (kept === null) return null;
    const certificate = checkedCertificate(parted(kept.text));
    const isOurs = kept.directoryUrl === null || kept.directoryUrl === settings.directoryUrl;
    const isEnough = isOurs && certificate.isFor(settings.hosts);
    const until = dateText(certificate.validToMs);
    log.info(
      `http.tls.letsencrypt: the kept certificate is for ${certificate.names} until ${until}`,
    );
    const renewMs = isEnough ? renewalMs(certificate, random()) : 0;
    return { certificate, renewMs, isStandIn: false };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.warn(`http.tls.letsencrypt: the kept certificate cannot be used: ${reason}`);
    return null;
  }
}

function dateText(ms: number): string {
  return new Date(ms).toISOString();
}
