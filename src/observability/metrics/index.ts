// Prometheus metrics: one registry of them, what fills it, and how it is read. Loaded only when metrics
// are asked for. docs/observability.md lists every metric; test/observability holds the list to it.
import { Gauge, Registry } from "prom-client";
import type { Index, RunRecord } from "../../registry/ports/index.ts";
import type { Storage } from "../../registry/ports/storage.ts";
import { CertificateMetrics, type ShownCertificate } from "./certificate-metrics.ts";
import { CollectionMetrics } from "./collection-metrics.ts";
import { timedIndex } from "./index-metrics.ts";
import { addProcessMetrics } from "./process-metrics.ts";
import { RequestMetrics } from "./request-metrics.ts";
import { StateMetrics, type StateParts } from "./state-metrics.ts";
import { timedStorage } from "./storage-metrics.ts";

/** Requests wait while it is written: it is put aside for them this often. */
const writeMsMax = 0.5;

export class Metrics {
  readonly requests: RequestMetrics;
  readonly contentType: string;
  readonly #register = new Registry();
  readonly #collections: CollectionMetrics;
  readonly #certificate: CertificateMetrics;
  readonly #indexUp: Gauge;
  #state: StateMetrics | null = null;
  #writing: Promise<string> | null = null;

  constructor(version: string) {
    this.contentType = this.#register.contentType;
    this.requests = new RequestMetrics(this.#register);
    this.#collections = new CollectionMetrics(this.#register);
    this.#certificate = new CertificateMetrics(this.#register);
    this.#indexUp = new Gauge({
      name: "plimsoll_index_up",
      help: "1: the index could be asked just now. 0: it could not, and what it knows is as it was.",
      registers: [this.#register],
    });
    addProcessMetrics(this.#register, version);
  }

  timeIndex(index: Index): Index {
    return timedIndex(index, this.#register);
  }

  timeStorage(storage: Storage): Storage {
    return timedStorage(storage, this.#register);
  }

  collectionEnded(record: RunRecord): void {
    this.#collections.ended(record);
  }

  /** From now on it is told until when this one counts. */
  showCertificate(shown: ShownCertificate): void {
    this.#certificate.show(shown);
  }

  /** From now on what the index holds is told too. */
  addState(parts: StateParts): void {
    this.#state ??= new StateMetrics(parts, this.#register);
  }

  /**
   * In Prometheus' text format. An index that cannot be asked leaves its metrics as they were. Who asks
   * while it is being written gets what is written.
   */
  text(): Promise<string> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
    });
    return this.#writing;
  }

  async #write(): Promise<string> {
    try {
      await this.#state?.read();
      this.#indexUp.set(this.#state === null ? 0 : 1);
    } catch {
      // What can still be told (requests, failures, the process) is what one needs to see now.
      this.#indexUp.set(0);
    }
    const texts: string[] = [];
    let begunMs = performance.now();
    for (const { name } of this.#register.getMetricsAsArray()) {
      texts.push(await this.#register.getSingleMetricAsString(name));
      if (performance.now() - begunMs < writeMsMax) continue;
      await new Promise((resolve) => setImmediate(resolve));
      begunMs = performance.now();
    }
    return `${texts.join("\n\n")}\n`;
  }
}
