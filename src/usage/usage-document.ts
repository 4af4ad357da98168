// The reports for programs: exact bytes, times in ISO 8601. A report is one document; a preview of a
// deletion, which may name any number of blobs, is one document a line, the sums last.
import { targetText } from "./usage-lines.ts";
import type { UsageEvent } from "./usage-request.ts";

const isoTime = (ms: number): string => new Date(ms).toISOString();

/** Gathers what belongs into one document. */
export class UsageDocument {
  readonly #members: Record<string, unknown> = {};

  /** Lines to print at once. */
  hear(event: UsageEvent): string[] {
    switch (event.kind) {
      case "summary": {
        const { takenAtMs, ...summary } = event.summary;
        this.#members["summary"] = { takenAt: isoTime(takenAtMs), ...summary };
        return [];
      }
      case "repositories":
        this.#members["repositories"] = event.list;
        return [];
      case "repository":
        this.#members["repository"] = event.report;
        return [];
      case "tags":
        this.#members["tags"] = event.rows.map(({ pushedAtMs, ...row }) => ({
          ...row,
          pushedAt: isoTime(pushedAtMs),
        }));
        return [];
      case "blobs":
        this.#members["blobs"] = event.rows;
        return [];
      case "ages":
        this.#members["ages"] = event.rows;
        return [];
      case "doomed-manifest":
        return [JSON.stringify({ kind: "manifest", ...event.manifest })];
      case "freed-blobs":
        return event.blobs.map((blob) => JSON.stringify({ kind: "blob", ...blob }));
      case "preview": {
        const unknown = event.preview.unknown.map(targetText);
        return [JSON.stringify({ kind: "summary", ...event.preview, unknown })];
      }
    }
  }

  /** Null: there was nothing to gather. */
  toJson(): string | null {
    return Object.keys(this.#members).length === 0 ? null : JSON.stringify(this.#members);
  }
}
