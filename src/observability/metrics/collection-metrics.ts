// Runs of the collector, as their records tell them.
import { Counter, Gauge, type Registry } from "prom-client";
import type { RunRecord } from "../../registry/ports/index.ts";

export class CollectionMetrics {
  readonly #runs: Counter<"outcome" | "asked_by">;
  readonly #manifests: Counter;
  readonly #blobs: Counter;
  readonly #bytes: Counter;
  readonly #seconds: Counter;
  readonly #endedAt: Gauge<"outcome">;

  constructor(register: Registry) {
    const registers = [register];
    this.#runs = new Counter({
      name: "plimsoll_collection_runs_total",
      help: "Collections that had something to do and are over: completed, stopped before the end, failed.",
      labelNames: ["outcome", "asked_by"],
      registers,
    });
    this.#manifests = new Counter({
      name: "plimsoll_collection_manifests_removed_total",
      help: "Manifests that collections removed.",
      registers,
    });
    this.#blobs = new Counter({
      name: "plimsoll_collection_blobs_removed_total",
      help: "Blobs that collections removed.",
      registers,
    });
    this.#bytes = new Counter({
      name: "plimsoll_collection_reclaimed_bytes_total",
      help: "Bytes that collections gave back.",
      registers,
    });
    this.#seconds = new Counter({
      name: "plimsoll_collection_duration_seconds_total",
      help: "Time that collections took.",
      registers,
    });
    this.#endedAt = new Gauge({
      name: "plimsoll_collection_last_run_timestamp_seconds",
      help: "When the last collection with this outcome ended, since the start of the process.",
      labelNames: ["outcome"],
      registers,
    });
  }

  ended(record: RunRecord): void {
    const outcome = outcomeOf(record);
    this.#runs.inc({ outcome, asked_by: record.askedBy });
    this.#manifests.inc(record.manifests);
    this.#blobs.inc(record.blobs);
    this.#bytes.inc(record.bytes);
    this.#seconds.inc((record.durationMs ?? 0) / 1000);
    this.#endedAt.set({ outcome }, (record.startedAtMs + (record.durationMs ?? 0)) / 1000);
  }
}

function outcomeOf({ stopped, errors }: RunRecord): "completed" | "stopped" | "failed" {
  if (stopped === "failed") return "failed";
  if (stopped !== null) return "stopped";
  return errors.length > 0 ? "failed" : "completed";
}
