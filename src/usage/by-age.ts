// Bytes by how long ago they were pushed. Each manifest stands with its own bytes and those of the blobs
// that it names as its own; a layer that several share counts for each of them, since it stays as long as
// one of them does.
import type { ManifestBytes } from "../registry/ports/index.ts";
import type { TopOptions } from "./top-repositories.ts";
import type { ReadingParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

export interface AgeRow {
  /** Younger than that; null: of any age beyond the row before. */
  readonly youngerThanDays: number | null;
  readonly manifests: number;
  readonly bytes: number;
}

const dayMs = 86_400_000;
const boundsDays = [1, 7, 30, 90, 180, 365];

/** What a manifest's age is counted from. */
type SinceMs = (manifest: ManifestBytes) => number;

const sincePush: SinceMs = ({ pushedAtMs }) => pushedAtMs;

export async function usageByAge(
  parts: ReadingParts,
  { globs }: Pick<TopOptions, "globs">,
  since: SinceMs = sincePush,
): Promise<AgeRow[]> {
  const { index, clock } = parts;
  const nowMs = clock.now();
  const counts = [...boundsDays, null].map((days) => ({
    youngerThanDays: days,
    manifests: 0,
    bytes: 0,
  }));
  for await (const page of walk(parts, (at) => index.scanManifestBytes(at))) {
    for (const manifest of page) {
      if (globs?.matches(manifest.repository) === false) continue;
      const ageDays = (nowMs - since(manifest)) / dayMs;
      const row = counts.find(({ youngerThanDays }) => ageDays < (youngerThanDays ?? Infinity));
      if (row === undefined) continue;
      row.manifests += 1;
      row.bytes += manifest.bytes;
    }
  }
  return counts;
}
