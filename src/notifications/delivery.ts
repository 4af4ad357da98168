// Sends one endpoint its events, in order, one at a time, again and again until it takes them. The queue is
// in the index, so a restart goes on where it stopped; the last page may be sent twice, with the same ids.
// Nobody waits for it: an endpoint that is away costs nothing but its own place in the queue.
import type { EndpointConfig } from "../config/index.ts";
import type { Digest } from "../oci/index.ts";
import type {
  EventIndex,
  EventPlace,
  QueuedEvent,
  RegistryEvent,
} from "../registry/ports/index.ts";
import { envelopeOf, type EventSource, mediaTypeOf } from "./envelope.ts";

export interface DeliveryParts {
  readonly index: EventIndex;
  readonly source: EventSource;
  /** Makes the index queue for all endpoints (again: an index that was built anew knows none). */
  readonly register: () => Promise<void>;
  readonly log: {
    readonly info: (message: string) => void;
    readonly warn: (message: string) => void;
  };
  /** Descriptors of what a manifest refers to; null: it is gone, or cannot be read. */
  readonly referencesOf: (digest: Digest) => Promise<readonly object[] | null>;
  /** Resolves after that long, or when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const pageMax = 100;
/** How often it is asked whether there is something new: one look-up. */
const pollMs = 500;
/** Between two tries while the threshold is not reached. */
const retryMs = 100;
const backoffMsMax = 60_000;

export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #options: EndpointConfig;
  readonly #stopped = new AbortController();
  /** Of the page under way; an index that cannot settle it just now is no reason to send it again. */
  readonly #taken = new Set<string>();
  /** The position of what is to be sent next; null: not known yet. */
  #next: number | null = null;
  #failures = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: DeliveryParts, options: EndpointConfig) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Whether it sends to exactly this endpoint, in exactly this way. */
  isTo(options: EndpointConfig): boolean {
    return Bun.deepEquals(options, this.#options, true);
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** What is being sent is given up, and sent again after the next start. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    const { sleep } = this.#parts;
    while (!signal.aborted) {
      const waitMs = await this.#round();
      if (waitMs > 0) await sleep(waitMs, signal);
    }
  }

  /** Sends a page; how long to wait then. */
  async #round(): Promise<number> {
    const { index, register } = this.#parts;
    const { name } = this.#options;
    try {
      const page = await index.nextEvents(name, pageMax);
      if (page === null) await register();
      if (page === null || page.length === 0) return pollMs;
      const [first] = page;
      if (first !== undefined) this.#tellDropped(first.position);
      const { upTo, waitMs } = await this.#sendAll(page);
      if (upTo !== null) {
        this.#next = upTo.position + 1;
        await index.settleEvents(name, upTo);
      }
      this.#taken.clear();
      return waitMs;
    } catch {
      // The index is busy or being built anew: it says so itself, and the queue waits.
      return pollMs;
    }
  }

  /** Positions have no gaps: what is missing before the first was dropped, because too much waited. */
  #tellDropped(first: number): void {
    const dropped = first - (this.#next ?? first);
    this.#next = first;
    if (dropped <= 0) return;
    const events = dropped === 1 ? "one event" : `${dropped} events`;
    this.#parts.log.warn(
      `endpoint ${this.#options.name} is never told of ${events}: more waited for it than are kept`,
    );
  }

  async #sendAll(
    page: readonly QueuedEvent[],
  ): Promise<{ readonly upTo: EventPlace | null; readonly waitMs: number }> {
    let upTo: EventPlace | null = null;
    for (const { position, event } of page) {
      if (this.#isWanted(event) && !this.#taken.has(event.id)) {
        if (!(await this.#isSent(event))) return { upTo, waitMs: this.#waitMs() };
        this.#taken.add(event.id);
      }
      upTo = { position, id: event.id };
    }
    return { upTo, waitMs: 0 };
  }

  #isWanted(event: RegistryEvent): boolean {
    const { ignoredActions, ignoredMediaTypes } = this.#options;
    const action = this.#actionOf(event);
    if (action === null || ignoredActions.includes(action)) return false;
    const mediaType = mediaTypeOf(event);
    return mediaType === null || !ignoredMediaTypes.includes(mediaType);
  }

  /**
   * In words that the endpoint knows: to one that knows of no restores, what comes back is pushed again.
   * Null: there is no such word.
   */
  #actionOf({ action }: RegistryEvent): RegistryEvent["action"] | null {
    const isOwn = action === "restore" || action === "collect" || action === "retain";
    if (!isOwn || this.#options.includedActions.includes(action)) return action;
    return action === "restore" ? "push" : null;
  }

  async #referencesOf({ action, what, digest }: RegistryEvent): Promise<readonly object[] | null> {
    const isTold = this.#options.includesReferences && what === "manifest" && action !== "delete";
    if (!isTold || digest === null) return null;
    // Told without them rather than not at all.
    return await this.#parts.referencesOf(digest).catch(() => null);
  }

  async #isSent(event: RegistryEvent): Promise<boolean> {
    try {
      await this.#send(event);
    } catch (error) {
      if (this.#stopped.signal.aborted) return false;
      this.#failures += 1;
      if (this.#failures === 1) {
        const why = error instanceof Error ? error.message : String(error);
        this.#parts.log.warn(
          `endpoint ${this.#options.name} could not be notified, its events wait: ${why}`,
        );
      }
      return false;
    }
    if (this.#failures > 0) {
      this.#parts.log.info(`endpoint ${this.#options.name} takes notifications again`);
    }
    this.#failures = 0;
    return true;
  }

  async #send(event: RegistryEvent): Promise<void> {
    const { headers, mediaType, timeoutMs, url } = this.#options;
    const sent = new Headers({ "Content-Type": mediaType });
    for (const [name, values] of Object.entries(headers)) {
      for (const value of values) sent.append(name, value);
    }
    const target = new URL(url);
    const login = `${decodeURIComponent(target.username)}:${decodeURIComponent(target.password)}`;
    if (login !== ":" && !sent.has("authorization")) {
      sent.set("authorization", `Basic ${Buffer.from(login).toString("base64")}`);
    }
    target.username = "";
    target.password = "";
    const action = this.#actionOf(event) ?? event.action;
    const references = await this.#referencesOf(event);
    const response = await fetch(target, {
      method: "POST",
      // Followed, it would become a GET without the event, and take the headers' secrets elsewhere.
      redirect: "manual",
      headers: sent,
      body: envelopeOf(event, this.#parts.source, { action, references }),
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#stopped.signal]),
    });
    await response.body?.cancel();
    const { status } = response;
    if (status >= 300 && status < 400 && response.headers.has("location")) {
      throw new Error(
        `it answers ${status}: redirects are not followed, its url has to be changed`,
      );
    }
    if (status >= 400) throw new Error(`it answers ${status}`);
  }

  /** Short at first; from the threshold on longer and longer. */
  #waitMs(): number {
    const { backoffMs, threshold } = this.#options;
    const beyond = this.#failures - threshold;
    if (beyond < 0) return Math.min(retryMs, backoffMs);
    return Math.min(backoffMsMax, backoffMs * 2 ** Math.min(beyond, 20));
  }
}
