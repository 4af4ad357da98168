// The history of runs as people and programs see it: one log line a run, `garbage-collect --history` as
// lines, and as one document.
import { z } from "zod";
import type { CollectionIndex, RunEntry, RunRecord } from "../registry/ports/index.ts";
import { humanBytes } from "./human-bytes.ts";

interface RunLogger {
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
  error(message: string, fields: Readonly<Record<string, unknown>>): void;
}

/** One structured line a run. */
export function logRun(record: RunRecord, logger: RunLogger): void {
  const { startedAtMs, errors, steppedOver, stopped, user, durationMs, ...numbers } = record;
  const fields = {
    ...numbers,
    startedAt: new Date(startedAtMs).toISOString(),
    durationMs: Math.round(durationMs ?? 0),
    steppedOver: steppedOver.count,
    ...(user === null ? {} : { user }),
    ...(stopped === null ? {} : { stopped }),
    ...(errors.length === 0 ? {} : { errors: errors.length, error: errors[0] }),
  };
  const failed = errors.length > 0 && (stopped === null || stopped === "failed");
  if (failed) logger.error("garbage collection", fields);
  else logger.info("garbage collection", fields);
}

const optionsSchema = z.strictObject({ limit: z.number().int().min(1) });
const pageMax = 100;

/** Tells the records, the youngest first, one event each. @returns the exit code. */
export async function tellHistory(
  index: Pick<CollectionIndex, "listRuns">,
  options: unknown,
  asker: { readonly tell: (event: unknown) => Promise<void> },
): Promise<number> {
  let left = optionsSchema.parse(options).limit;
  let before: number | null = null;
  while (left > 0) {
    const limit = Math.min(left, pageMax);
    const page: readonly RunEntry[] = await index.listRuns({ before, limit });
    for (const entry of page) await asker.tell(entry);
    if (page.length < limit) return 0;
    before = page.at(-1)?.id ?? null;
    left -= page.length;
  }
  return 0;
}

export function runLines({ id, isOver, record }: RunEntry): string[] {
  const who = record.user === null ? record.askedBy : `${record.askedBy} (${record.user})`;
  const took = record.durationMs === null ? "" : ` in ${(record.durationMs / 1000).toFixed(2)} s`;
  const ended = !isOver ? "under way" : record.stopped === null ? "done" : record.stopped;
  const counts = [
    `${record.bytes} bytes (${humanBytes(record.bytes)})`,
    `${record.blobs} blobs`,
    `${record.manifests} manifests`,
    `${record.links} links`,
    ...(record.uploads > 0 ? [`${record.uploads} uploads`] : []),
    ...(record.repositories > 0 ? [`${record.repositories} repositories`] : []),
  ];
  const started = new Date(record.startedAtMs).toISOString();
  return [
    `#${id} ${started} ${who}, ${record.trigger}: ${ended}${took}; ${counts.join(", ")} of ${record.candidates} candidates`,
    ...(record.steppedOver.count > 0
      ? [`  ${record.steppedOver.count} oddities stepped over`]
      : []),
    ...record.errors.map((error) => `  ${error}`),
  ];
}

/** Gathers entries into one document. */
export class RunHistory {
  readonly #runs: object[] = [];

  hear({ id, isOver, record }: RunEntry): void {
    const { startedAtMs, bytes, ...rest } = record;
    const startedAt = new Date(startedAtMs).toISOString();
    this.#runs.push({ id, isOver, startedAt, bytesReclaimed: bytes, ...rest });
  }

  toJson(): string {
    return JSON.stringify({ runs: this.#runs });
  }
}
