// Retention in one call, for histories of all kinds: a rule that lets exactly these tags of a repository go.
import { parseGlobs, type RepositoryName, type Tag } from "../../src/oci/index.ts";
import type { Clock } from "../../src/registry/ports/clock.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { Retention } from "../../src/retention/index.ts";
import type { RetentionReport } from "../../src/retention/events.ts";
import type { RetentionWork } from "../../src/retention/retention.ts";

const never = new AbortController().signal;

export interface LettingGo {
  readonly index: Index;
  readonly clock: Clock;
  readonly repository: RepositoryName;
  readonly tags: readonly Tag[];
}

/** `apply` false: only foretells it. */
export async function letGo(
  { index, clock, repository, tags }: LettingGo,
  apply: boolean,
): Promise<RetentionReport> {
  const retention = new Retention({
    index,
    clock,
    pause: () => Promise.resolve(),
    pulls: { settle: () => Promise.resolve(), isWaiting: () => false },
    isProtected: () => false,
    immutableIn: () => [],
    followTree: () => undefined,
    keepDeletedMs: 1,
    refusal: null,
  });
  const work: RetentionWork = {
    rules: [
      {
        name: "these",
        repositories: parseGlobs([repository]),
        tags: parseGlobs(tags),
        keep: { newest: null, pushedWithinMs: null, pulledWithinMs: null, matching: null },
        untaggedOlderThanMs: null,
        intervalMs: 1,
        onPressure: false,
        allowEmpty: true,
      },
    ],
  };
  if (apply) return await retention.apply(work, () => undefined, never);
  return await retention.preview(work, () => undefined, never);
}
