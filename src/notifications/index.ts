// Tells endpoints what happens. Events of changes are queued by the index, in the change's transaction;
// pulls, which change nothing, are gathered here and queued now and then, as well as that goes.
import type { EndpointConfig } from "../config/index.ts";
import type { EventIndex, RegistryEvent } from "../registry/ports/index.ts";
import { Delivery, type DeliveryParts } from "./delivery.ts";

export { referencesIn } from "./references.ts";

export interface NotifierParts extends Omit<DeliveryParts, "register"> {
  readonly index: EventIndex;
  readonly now: () => number;
}

/** Something that was pulled. */
export type Pulled = Pick<
  RegistryEvent,
  "what" | "repository" | "digest" | "tag" | "mediaType" | "sizeBytes" | "origin"
>;

/** Gathered; more within a second are not told of. */
const pullsMax = 2_000;
const gatherMs = 1_000;
const tellLostMs = 60_000;
/** Between two transactions that forget events. */
const pauseMs = 5;

export class Notifier {
  readonly #parts: NotifierParts;
  readonly #stopped = new AbortController();
  #endpoints: readonly EndpointConfig[];
  #deliveries: readonly Delivery[];
  /** Of the events of endpoints that are gone. */
  #forgetting: Promise<void> = Promise.resolve();
  #pulls: RegistryEvent[] = [];
  #dropped = 0;
  /** Of pulls that nobody is notified of, and nobody was told of yet. */
  #lost = 0;
  #toldLostAtMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;

  constructor(parts: NotifierParts, endpoints: readonly EndpointConfig[]) {
    this.#parts = parts;
    this.#endpoints = endpoints;
    this.#deliveries = endpoints.map((endpoint) => this.#deliveryTo(endpoint));
  }

  /** Before the first request: also takes away what was queued for endpoints that are gone. */
  async start(): Promise<void> {
    await this.#register();
    for (const delivery of this.#deliveries) delivery.start();
  }

  /**
   * Other endpoints. One that stays as it is goes on undisturbed; one of the same name goes on with its
   * place in the queue, and what was on its way is sent again; one that is gone is sent nothing more.
   */
  async replace(endpoints: readonly EndpointConfig[]): Promise<void> {
    // Asked for before the others are known: what was pulled until now is for those of until now.
    const gathered = this.#queuePulls();
    const before = this.#deliveries;
    const kept = before.filter((delivery) => endpoints.some((one) => delivery.isTo(one)));
    const made = endpoints
      .filter((one) => !kept.some((delivery) => delivery.isTo(one)))
      .map((one) => this.#deliveryTo(one));
    // First, so that none of those that stay asks for the old ones again.
    this.#endpoints = endpoints;
    this.#deliveries = [...kept, ...made];
    await Promise.all(
      before.filter((delivery) => !kept.includes(delivery)).map((delivery) => delivery.stop()),
    );
    await gathered;
    await this.#register();
    for (const delivery of made) delivery.start();
  }

  #deliveryTo(endpoint: EndpointConfig): Delivery {
    return new Delivery({ ...this.#parts, register: () => this.#setEndpoints() }, endpoint);
  }

  async #register(): Promise<void> {
    try {
      await this.#setEndpoints();
    } catch {
      // A full disk, say, is no reason not to start: each delivery registers again when it is not known.
      this.#parts.log.warn(
        "the queue of notifications could not be written; what happens now may not be told",
      );
    }
  }

  /** What endpoints that are gone leave in the queue goes bit by bit, and nobody waits for it. */
  async #setEndpoints(): Promise<void> {
    const { index } = this.#parts;
    const isMore = await index.setEventEndpoints(this.#endpoints.map(({ name }) => name));
    if (isMore) this.#forgetting = this.#forgetting.then(() => this.#forgetRest());
  }

  async #forgetRest(): Promise<void> {
    const { index, sleep } = this.#parts;
    const { signal } = this.#stopped;
    try {
      do await sleep(pauseMs, signal);
      while (!signal.aborted && (await index.forgetEvents()));
    } catch {
      // The index is busy, or the disk full: what is left goes with the next events that are settled.
    }
  }

  pulled(pull: Pulled): void {
    if (this.#endpoints.every(({ ignoredActions }) => ignoredActions.includes("pull"))) return;
    if (this.#pulls.length >= pullsMax) {
      this.#dropped += 1;
      return;
    }
    this.#pulls.push({
      ...pull,
      id: crypto.randomUUID(),
      atMs: this.#parts.now(),
      action: "pull",
      fromRepository: null,
    });
    this.#timer ??= setTimeout(() => void this.#queuePulls(), gatherMs).unref();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#queuePulls();
    await this.#forgetting;
    await Promise.all(this.#deliveries.map((delivery) => delivery.stop()));
  }

  async #queuePulls(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const pulls = this.#pulls;
    const dropped = this.#dropped;
    this.#pulls = [];
    this.#dropped = 0;
    const { index, log } = this.#parts;
    if (pulls.length === 0) return;
    try {
      const isQueued = await index.queueEvents(pulls);
      if (isQueued) this.#tellLost(dropped);
      else this.#tellLost(dropped + pulls.length);
    } catch {
      log.warn(`${pulls.length} pulls could not be queued, so nobody is notified of them`);
    }
  }

  /** At most once a minute, and of all since then: on a busy registry it would be every second. */
  #tellLost(lost: number): void {
    const { log, now } = this.#parts;
    this.#lost += lost;
    if (this.#lost === 0 || now() - this.#toldLostAtMs < tellLostMs) return;
    log.warn(`nobody is notified of ${this.#lost} pulls: there are more than endpoints take`);
    this.#lost = 0;
    this.#toldLostAtMs = now();
  }
}
