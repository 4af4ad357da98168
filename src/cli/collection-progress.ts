// How far a collection has come, out of the events that it tells anyway.
import type { CollectionEvent } from "../gc/index.ts";
import { bytesText, type ProgressBar } from "./progress-bar.ts";

export class CollectionProgress {
  #blobs = 0;
  #bytes = 0;
  /** Null: not counted yet, or by a run that was joined later. */
  #total: number | null = null;

  hear(event: CollectionEvent, bar: Pick<ProgressBar, "update" | "stop">): void {
    switch (event.kind) {
      case "counted":
        // What was counted beforehand may be only a part; then nobody knows.
        this.#total = event.atLeast ? null : event.blobs;
        break;
      case "blob-removed":
        this.#blobs += 1;
        this.#bytes += event.sizeBytes;
        bar.update({
          what: "removing",
          value: this.#blobs,
          total: this.#total === null ? null : Math.max(this.#total, this.#blobs),
          unit: "blobs",
          note: bytesText(this.#bytes),
        });
        break;
      case "summary":
        bar.stop();
        break;
      default:
        break;
    }
  }
}
