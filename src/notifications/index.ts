// Tells endpoints what happens. Events of changes are queued by the index, in the change's transaction;
// pulls, which change nothing, are gathered here and queued now and then, as well as that goes.
import type { EventIndex, RegistryEvent } from "../registry/ports/index.ts";
import { Delivery, type DeliveryParts, type EndpointOptions } from "./delivery.ts";

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

export class Notifier {
  readonly #parts: NotifierParts;
  readonly #names: readonly string[];
  readonly #deliveries: readonly Delivery[];
  readonly #wantsPulls: boolean;
  #pulls: RegistryEvent[] = [];
  #dropped = 0;
  /** Of pulls that nobody is notified of, and nobody was told of yet. */
  #lost = 0;
  #toldLostAtMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;

  constructor(parts: NotifierParts, endpoints: readonly EndpointOptions[]) {
    this.#parts = parts;
    this.#names = endpoints.map(({ name }) => name);
    this.#wantsPulls = endpoints.some(({ ignoredActions }) => !ignoredActions.includes("pull"));
    const register = (): Promise<void> => parts.index.setEventEndpoints(this.#names);
    this.#deliveries = endpoints.map((endpoint) => new Delivery({ ...parts, register }, endpoint));
  }

  /** Before the first request: also takes away what was queued for endpoints that are gone. */
  async start(): Promise<void> {
    try {
      await this.#parts.index.setEventEndpoints(this.#names);
    } catch {
      // A full disk, say, is no reason not to start: each delivery registers again when it is not known.
      this.#parts.log.warn(
        "the queue of notifications could not be written; what happens now may not be told",
      );
    }
    for (const delivery of this.#deliveries) delivery.start();
  }

  pulled(pull: Pulled): void {
    if (!this.#wantsPulls) return;
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
    await this.#queuePulls();
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
