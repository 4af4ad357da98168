// The repositories that use the most, by what deleting them would free. Every repository's sums are kept,
// so this is one walk over the names, whatever they hold.
import type { NameGlobs } from "../oci/index.ts";
import type { NamedUsage } from "../registry/ports/index.ts";
import { Largest } from "./largest.ts";
import type { ReadingParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

export interface RepositoryRow extends NamedUsage {
  /** What others hold, too. */
  readonly sharedBytes: number;
}

export interface TopRepositories {
  readonly rows: readonly RepositoryRow[];
  /** Repositories that were asked for and hold something, shown or not; and the sums over them. */
  readonly count: number;
  readonly logicalBytes: number;
  readonly exclusiveBytes: number;
}

export interface TopOptions {
  readonly limit: number;
  /** Null: every repository. */
  readonly globs: NameGlobs | null;
}

export async function topRepositories(
  parts: Pick<ReadingParts, "index" | "pause">,
  { limit, globs, by }: TopOptions & { readonly by: "exclusiveBytes" | "logicalBytes" },
): Promise<TopRepositories> {
  const { index } = parts;
  // What is shared through and through still has an order.
  const other = by === "exclusiveBytes" ? "logicalBytes" : "exclusiveBytes";
  const largest = new Largest<NamedUsage>(limit, (usage) => usage[by] + usage[other] / 2 ** 53);
  let count = 0;
  let logicalBytes = 0;
  let exclusiveBytes = 0;
  for await (const page of walk(parts, (at) => index.scanRepositoryUsage(at))) {
    for (const usage of page) {
      if (usage.manifests === 0 && usage.tags === 0) continue;
      if (globs?.matches(usage.repository) === false) continue;
      count += 1;
      logicalBytes += usage.logicalBytes;
      exclusiveBytes += usage.exclusiveBytes;
      largest.add(usage);
    }
  }
  const rows = largest.items.map((usage) => ({
    ...usage,
    sharedBytes: usage.logicalBytes - usage.exclusiveBytes,
  }));
  return { rows, count, logicalBytes, exclusiveBytes };
}
