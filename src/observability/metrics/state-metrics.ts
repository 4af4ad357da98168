// What there is, and what waits: asked of the index whenever the metrics are read, by look-ups that cost
// the same in a large registry as in a small one. Tables that grow are counted in pages, with a pause
// after each, so that no request waits for a count.
import { Counter, Gauge, type Registry } from "prom-client";
import type { CacheCounts, Countable, Index } from "../../registry/ports/index.ts";
import { NamespaceMetrics } from "./namespace-metrics.ts";

/** A page takes a fraction of a millisecond. */
const pageRowsMax = 5_000;
/** Beyond this many a queue is told as this many: somebody has to look at it in any case. */
const countedMax = 1_000_000;

export interface StateParts {
  readonly index: Pick<Index, "gauges" | "countPage" | "scanRepositoryUsage">;
  readonly contentCache: CacheCounts;
  readonly now: () => number;
}

export class StateMetrics {
  readonly #parts: StateParts;
  readonly #gauges: Readonly<Record<GaugeName, Gauge>>;
  readonly #queue: Gauge<"queue">;
  readonly #age: Gauge<"queue">;
  readonly #hits: Counter<"cache">;
  readonly #misses: Counter<"cache">;
  readonly #namespaces: NamespaceMetrics;
  #reading: Promise<void> | null = null;

  constructor(parts: StateParts, register: Registry) {
    this.#parts = parts;
    this.#namespaces = new NamespaceMetrics(parts, register);
    const registers = [register];
    const gauge = (name: GaugeName): Gauge =>
      new Gauge({ name: `plimsoll_${name}`, help: helps[name], registers });
    this.#gauges = {
      blobs: gauge("blobs"),
      blob_bytes: gauge("blob_bytes"),
      manifests: gauge("manifests"),
      repositories: gauge("repositories"),
      upload_sessions: gauge("upload_sessions"),
      notifications_queue_length: gauge("notifications_queue_length"),
    };
    const labelNames = ["queue"] as const;
    this.#queue = new Gauge({
      name: "plimsoll_collection_queue_length",
      help: "Candidates for collection, due or not.",
      labelNames,
      registers,
    });
    this.#age = new Gauge({
      name: "plimsoll_collection_oldest_candidate_age_seconds",
      help: "For how long the oldest candidate has been due; 0: none is due.",
      labelNames,
      registers,
    });
    this.#hits = new Counter({
      name: "plimsoll_cache_hits_total",
      help: "Answers that were in memory: of the index, and of manifests and small blobs (content).",
      labelNames: ["cache"],
      registers,
    });
    this.#misses = new Counter({
      name: "plimsoll_cache_misses_total",
      help: "Answers that had to be looked up.",
      labelNames: ["cache"],
      registers,
    });
  }

  /** Who asks while it is being read gets what is read. @throws what the index throws. */
  read(): Promise<void> {
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    const { index, contentCache, now } = this.#parts;
    const told = await index.gauges();
    this.#gauges.blobs.set(told.blobs);
    this.#gauges.blob_bytes.set(told.blobBytes);
    this.#gauges.manifests.set(told.manifests);
    const nowMs = now();
    this.#age.set({ queue: "blobs" }, secondsSince(told.blobDueMs, nowMs));
    this.#age.set({ queue: "manifests" }, secondsSince(told.manifestDueMs, nowMs));
    this.#cache("index", told.cache);
    this.#cache("content", contentCache);
    this.#gauges.repositories.set(await this.#count("repositories"));
    this.#gauges.upload_sessions.set(await this.#count("uploads"));
    this.#gauges.notifications_queue_length.set(await this.#count("events"));
    this.#queue.set({ queue: "blobs" }, await this.#count("blob-candidates"));
    this.#queue.set({ queue: "manifests" }, await this.#count("manifest-candidates"));
    await this.#namespaces.read();
  }

  async #count(what: Countable): Promise<number> {
    let total = 0;
    for (let after: string | number | null = null; total < countedMax;) {
      const page = await this.#parts.index.countPage({ what, after, limit: pageRowsMax });
      total += page.count;
      if (page.count < pageRowsMax) break;
      after = page.last;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return total;
  }

  /** They are counted where they arise; an index that was replaced counts anew, as a new process does. */
  #cache(cache: string, { hits, misses }: CacheCounts): void {
    this.#hits.remove({ cache });
    this.#misses.remove({ cache });
    this.#hits.inc({ cache }, hits);
    this.#misses.inc({ cache }, misses);
  }
}

const helps = {
  blobs: "Blobs with bytes; manifests' own bytes included.",
  blob_bytes: "Bytes of these blobs.",
  manifests: "Manifests over all repositories: one in two repositories counts twice.",
  repositories: "Repositories that hold a manifest.",
  upload_sessions: "Upload sessions that are open, whether they receive bytes or not.",
  notifications_queue_length: "Events that some endpoint has not had yet; at most 50,000 are kept.",
} as const;
type GaugeName = keyof typeof helps;

function secondsSince(dueMs: number | null, nowMs: number): number {
  return dueMs === null ? 0 : Math.max(0, (nowMs - dueMs) / 1000);
}
