// Builds that CI pushes day by day, and rules about them.
import { parseGlobs } from "../../src/oci/index.ts";
import type { RetentionRule } from "../../src/retention/rules.ts";
import type { SmallRegistry } from "./registry.ts";

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

interface Said {
  readonly name?: string;
  readonly repositories?: readonly string[];
  readonly tags?: readonly string[];
  readonly newest?: number;
  readonly pulledWithinMs?: number;
  readonly untaggedOlderThanMs?: number;
  readonly onPressure?: boolean;
  readonly allowEmpty?: boolean;
}

export function rule(said: Said = {}): RetentionRule {
  return {
    name: said.name ?? "one",
    repositories: parseGlobs(said.repositories ?? ["**"]),
    tags: parseGlobs(said.tags ?? ["*"]),
    keep: {
      newest: said.newest ?? null,
      pushedWithinMs: null,
      pulledWithinMs: said.pulledWithinMs ?? null,
      matching: null,
    },
    untaggedOlderThanMs: said.untaggedOlderThanMs ?? null,
    intervalMs: dayMs,
    onPressure: said.onPressure ?? false,
    allowEmpty: said.allowEmpty ?? false,
  };
}

/** One image a day, each of its own layer: build-1 is the oldest. */
export async function builds(
  registry: SmallRegistry,
  repository: string,
  count: number,
): Promise<void> {
  for (let n = 1; n <= count; n++) {
    await registry.world.image(repository, { blobs: [n], tags: [`build-${n}`] });
    registry.world.nowMs += dayMs;
  }
}
