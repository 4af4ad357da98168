// A registry in small for tests of retention: an index in memory, a clock, pulls that are noted, and what
// retention is made of.
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import type { Digest } from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { PullLog } from "../../src/registry/pull-log.ts";
import { Retention } from "../../src/retention/index.ts";
import type { RetentionEvent } from "../../src/retention/events.ts";
import type { RetentionParts } from "../../src/retention/parts.ts";
import { repo, tag, World } from "../contract/index/world.ts";

/** A Thursday; whole hours, as most times in these tests are. */
export const startMs = Date.parse("2026-01-01T00:00:00Z");

export class SmallRegistry {
  readonly index: Index;
  readonly world: World;
  readonly pulls: PullLog;
  readonly parts: RetentionParts;
  readonly retention: Retention;
  /** What was reported as failed. */
  readonly failures: string[] = [];

  constructor(
    more: Partial<RetentionParts> = {},
    wrap: (index: Index) => Index = (index) => index,
  ) {
    const inner = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
    this.index = wrap(inner);
    const tree = { setLink: () => undefined, setBlob: () => undefined };
    this.world = new World({ index: inner, tree, close: () => inner.close() });
    this.world.nowMs = startMs;
    const clock = { now: () => this.world.nowMs };
    const reports = {
      info: (message: string) => void this.failures.push(message),
      error: (message: string) => void this.failures.push(message),
    };
    this.pulls = new PullLog({ index: this.index, clock, reports });
    this.parts = {
      index: this.index,
      clock,
      // Others get their turn, and no time passes: the clock is the test's.
      pause: () => new Promise((resolve) => setImmediate(resolve)),
      pulls: this.pulls,
      isProtected: () => false,
      immutableIn: () => [],
      followTree: () => undefined,
      keepDeletedMs: 24 * 3_600_000,
      logRun: () => undefined,
      refusal: null,
      ...more,
    };
    this.retention = new Retention(this.parts);
  }

  async open(): Promise<this> {
    await this.index.markComplete();
    await this.index.beginPullTimes(startMs);
    return this;
  }

  async pull(repository: string, name: string): Promise<Digest> {
    const found = await this.index.findTag(repo(repository), tag(name));
    if (found === null) throw new Error(`${repository}:${name} is not there`);
    this.pulls.note(repo(repository), found.digest);
    return found.digest;
  }

  async tags(repository: string): Promise<string[]> {
    const names = await this.index.listTags(repo(repository), { after: null, limit: 10_000 });
    return (names ?? []).map(String);
  }
}

/** Gathers events, and answers with what is asked of them. */
export class Heard {
  readonly events: RetentionEvent[] = [];
  readonly hear = (event: RetentionEvent): void => void this.events.push(event);

  /** `repository:tag` */
  get tags(): string[] {
    return this.events.flatMap((event) =>
      event.kind === "tag" ? [`${event.repository}:${event.tag}`] : [],
    );
  }
}
