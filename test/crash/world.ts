// The registry as compose/root.ts puts it together, from ports that a test has wrapped, and with a clock that
// the test moves.
import { Collector } from "../../src/gc/index.ts";
import type { Digest } from "../../src/oci/index.ts";
import { createRegistry, type RegistryServices } from "../../src/registry/create-registry.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import type { Clock } from "../../src/registry/ports/clock.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import type { Storage } from "../../src/registry/ports/storage.ts";
import { TreeFollower } from "../../src/registry/tree-follower.ts";

export const graceMs = 3_600_000;
/** Long enough that only a collection that keeps nothing ends what a test deletes. */
export const keepDeletedMs = 1_000 * graceMs;
export const caller = "ann";

/** Long ago, so that every lease is over for a process that goes by the real time. */
const startMs = 1_700_000_000_000;

export class TestClock implements Clock {
  nowMs = startMs;

  now(): number {
    return this.nowMs;
  }

  /** Later than anything that the test or a process of its has done or written, by any clock. */
  passEverything(): void {
    this.nowMs = Date.now() + graceMs;
  }

  /** All leases are over then. */
  passGrace(): void {
    this.nowMs += graceMs + 1;
  }
}

export interface World {
  readonly index: Index;
  readonly storage: Storage;
  readonly clock: TestClock;
  readonly services: RegistryServices;
  readonly follower: TreeFollower;
  readonly collector: Collector;
  /**
   * Work beside the requests runs while they go on, as in a server. Otherwise the tree follows only when
   * it is told to, and files of uploads are gone before the next step, so that calls can be counted.
   */
  readonly runsBeside: boolean;
  /** Compares tree and index, as after a start; null: there is no tree on disk that could be walked. */
  readonly compare: (() => Promise<void>) | null;
}

export interface WorldParts {
  readonly index: Index;
  readonly storage: Storage;
  readonly clock: TestClock;
  readonly runsBeside?: boolean;
  readonly compare?: () => Promise<void>;
  /** The ports as the collector and the tree follower are given them, where not as the services are. */
  readonly beside?: { readonly index: Index; readonly storage: Storage };
}

export function createWorld(parts: WorldParts): World {
  const { index, storage, clock, runsBeside = false, compare = null } = parts;
  // What fails beside the requests fails because the process died: the checks afterwards tell.
  const reports = { error: () => undefined, info: () => undefined };
  const beside = parts.beside ?? { index, storage };
  const follower = new TreeFollower({ ...beside, reports });
  const locks = new KeyedLocks<Digest>();
  const wake = (): void => {
    if (runsBeside) follower.wake();
  };
  const services = createRegistry({
    index,
    storage,
    locks,
    clock,
    reports,
    followTree: wake,
    treeLookup: () => null,
    options: {
      graceMs,
      keepDeletedMs,
      readOnly: false,
      validation: { urlsAllow: null, urlsDeny: [], indexChildren: "all" },
    },
  });
  const tree = { wake, catchUp: () => follower.catchUp() };
  // Others get their turn, and no time passes: the clock is the test's.
  const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const collector = new Collector({ ...beside, locks, clock, tree, pause });
  return { index, storage, clock, services, follower, collector, runsBeside, compare };
}

/** Nothing of this process runs any more. */
export async function endWorld({ collector, services, follower }: World): Promise<void> {
  await collector.stop();
  // In a dead process it fails, once it has waited.
  await services.uploads.settle().catch(() => undefined);
  await follower.stop();
}
