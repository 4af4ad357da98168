import { describe, expect, test } from "bun:test";
import { builds, dayMs, rule } from "../../test/retention/builds.ts";
import { SmallRegistry, Heard, startMs } from "../../test/retention/registry.ts";
import { restore, wantedOf } from "../../test/contract/index/undo.ts";
import { repo, tag } from "../../test/contract/index/world.ts";
import { DeniedError } from "../oci/index.ts";
import type { AuditEntry } from "../registry/audit.ts";
import type { Index } from "../registry/ports/index.ts";
import { StorageError } from "../registry/ports/storage.ts";
import type { RetentionRun } from "./events.ts";
import type { RetentionRule } from "./rules.ts";

const never = new AbortController().signal;

/** Calls `before` once, before the first time that the method is called. */
function interrupted(name: keyof Index, before: () => Promise<unknown>): (index: Index) => Index {
  let isDone = false;
  return (index) =>
    new Proxy(index, {
      get: (target, key) => {
        const method: unknown = Reflect.get(target, key);
        if (key !== name || typeof method !== "function") return method;
        return async (...args: unknown[]): Promise<unknown> => {
          if (!isDone) {
            isDone = true;
            await before();
          }
          return await (method.apply(target, args) as Promise<unknown>);
        };
      },
    });
}

describe("a preview", () => {
  test("tells tag by tag what would go, what keeps the rest, and the bytes; and changes nothing", async () => {
    const registry = await new SmallRegistry().open();
    await builds(registry, "ci/app", 3);
    await builds(registry, "base", 1);
    const heard = new Heard();
    const work = {
      rules: [rule({ newest: 2, repositories: ["ci/**"] })],
      askedBy: "test",
      tellsKept: true,
    };
    const report = await registry.retention.preview(work, heard.hear, never);
    expect(heard.tags).toEqual(["ci/app:build-1"]);
    expect(heard.events.map(({ kind }) => kind)).toEqual([
      "tag",
      "kept",
      "kept",
      "repository",
      "summary",
    ]);
    expect(heard.events.at(-2)).toMatchObject({ kept: { newest: 2 }, refused: [] });
    expect(report).toMatchObject({ applied: false, repositories: 1, tags: 1, manifests: 1 });
    // The very same image is in "base".
    expect(report.bytes).toBe(0);
    expect(await registry.tags("ci/app")).toHaveLength(3);
  });

  test("of one rule, and of some repositories", async () => {
    const registry = await new SmallRegistry().open();
    await builds(registry, "ci/app", 3);
    await builds(registry, "team/app", 3);
    const rules = [
      rule({ name: "ci", repositories: ["ci/**"], newest: 1 }),
      rule({ name: "all", newest: 1 }),
    ];
    const told = async (more: object): Promise<string[]> => {
      const heard = new Heard();
      await registry.retention.preview({ rules, askedBy: "test", ...more }, heard.hear, never);
      return heard.tags;
    };
    expect(await told({})).toHaveLength(4);
    expect(await told({ applies: ({ name }: RetentionRule) => name === "all" })).toEqual([
      "team/app:build-1",
      "team/app:build-2",
    ]);
    expect(await told({ isWanted: (name: string) => name === "ci/app" })).toEqual([
      "ci/app:build-1",
      "ci/app:build-2",
    ]);
  });
});

describe("an application", () => {
  test("is refused where nothing may be removed", async () => {
    const registry = await new SmallRegistry({ refusal: "deletion is disabled" }).open();
    await builds(registry, "a", 2);
    const { retention } = registry;
    const work = { rules: [rule({ newest: 1 })], askedBy: "test" };
    const failure = retention.apply(work, () => undefined, never);
    expect(failure).rejects.toThrow(DeniedError);
    await failure.catch(() => undefined);
    const pressed = retention.applyUnderPressure(work.rules, () => Promise.resolve(true), never);
    expect(pressed).rejects.toThrow("deletion is disabled");
    await pressed.catch(() => undefined);
    expect(await registry.tags("a")).toHaveLength(2);
  });

  test("leaves a pull that was noted at the last moment its tag", async () => {
    let registry: SmallRegistry | null = null;
    const wrap = interrupted("isJudgeable", async () => await registry?.pull("a", "build-1"));
    registry = await new SmallRegistry({}, wrap).open();
    await builds(registry, "a", 3);
    const rules = [rule({ newest: 1, pulledWithinMs: dayMs })];
    const report = await registry.retention.apply(
      { rules, askedBy: "test" },
      () => undefined,
      never,
    );
    expect(report).toMatchObject({ tags: 1, changed: 1 });
    expect(await registry.tags("a")).toEqual(["build-1", "build-3"]);
  });

  test("leaves it also while pull times cannot be written", async () => {
    const registry = await new SmallRegistry({}, (index) => ({
      ...index,
      recordPulls: () => Promise.reject(new Error("the disk is full")),
    })).open();
    await builds(registry, "a", 3);
    await registry.pull("a", "build-1");
    const rules = [rule({ newest: 1, pulledWithinMs: dayMs })];
    const report = await registry.retention.apply(
      { rules, askedBy: "test" },
      () => undefined,
      never,
    );
    expect(report).toMatchObject({ tags: 1, changed: 1 });
    expect(await registry.tags("a")).toEqual(["build-1", "build-3"]);
  });

  test("goes on in smaller parts where the disk is too full for ten images at once", async () => {
    const sizes: number[] = [];
    const registry = await new SmallRegistry({}, (index) => ({
      ...index,
      retireImages: async (work) => {
        if (work.images.length > 3) throw new StorageError("full", "the disk is full");
        sizes.push(work.images.length);
        return await index.retireImages(work);
      },
    })).open();
    await builds(registry, "a", 13);
    const heard = new Heard();
    const work = { rules: [rule({ newest: 1 })], askedBy: "test" };
    const report = await registry.retention.apply(work, heard.hear, never);
    expect(sizes).toEqual([2, 3, 2, 3, 2]);
    expect(report).toMatchObject({ tags: 12, manifests: 12 });
    expect(heard.tags).toHaveLength(12);
    expect(await registry.tags("a")).toEqual(["build-13"]);
  });

  test("takes an image with very many tags in several transactions, the image with the last", async () => {
    const sizes: number[] = [];
    const registry = await new SmallRegistry({}, (index) => ({
      ...index,
      retireImages: async (work) => {
        sizes.push(work.images.reduce((sum, { tags }) => sum + tags.length, 0));
        return await index.retireImages(work);
      },
    })).open();
    const tags = Array.from({ length: 120 }, (_, n) => `old-${n}`);
    await registry.world.image("a", { blobs: [99], tags });
    registry.world.nowMs += dayMs;
    await builds(registry, "a", 4);
    const heard = new Heard();
    const work = { rules: [rule({ newest: 1 })], askedBy: "test" };
    const preview = await registry.retention.preview(work, () => undefined, never);
    const report = await registry.retention.apply(work, heard.hear, never);
    expect(sizes).toEqual([3, 50, 50, 20]);
    expect(report).toMatchObject({ tags: 123, manifests: 4 });
    expect(preview).toMatchObject({ tags: 123, manifests: 4 });
    expect(heard.events.some((event) => event.kind === "tag" && event.isImageKept)).toBe(false);
    expect(await registry.tags("a")).toEqual(["build-4"]);
  });

  test("judges again when what it stood on is deleted meanwhile", async () => {
    let registry: SmallRegistry | null = null;
    const wrap = interrupted("retireImages", async () => {
      const { index, world } = registry as SmallRegistry;
      await index.deleteTag(repo("a"), tag("build-4"), world.nowMs);
    });
    registry = await new SmallRegistry({}, wrap).open();
    await builds(registry, "a", 4);
    const report = await registry.retention.apply(
      { rules: [rule({ newest: 2 })], askedBy: "test" },
      () => undefined,
      never,
    );
    // By the first judgement build-2 would have gone, too.
    expect(await registry.tags("a")).toEqual(["build-2", "build-3"]);
    expect(report.tags).toBe(1);
  });

  test("a push that comes between moves nothing that it brought", async () => {
    let registry: SmallRegistry | null = null;
    const wrap = interrupted("retireImages", async () => {
      const { world } = registry as SmallRegistry;
      await world.image("a", { blobs: [9], tags: ["build-1"] });
    });
    registry = await new SmallRegistry({}, wrap).open();
    await builds(registry, "a", 3);
    const report = await registry.retention.apply(
      { rules: [rule({ newest: 1 })], askedBy: "test" },
      () => undefined,
      never,
    );
    expect(report).toMatchObject({ tags: 1, changed: 1 });
    expect(await registry.tags("a")).toEqual(["build-1", "build-3"]);
  });

  test("says what it left for a lease, refused, or stepped over", async () => {
    const registry = await new SmallRegistry().open();
    const { world, index } = registry;
    await builds(registry, "leased", 2);
    await builds(registry, "emptied", 2);
    await builds(registry, "bent", 2);
    const found = await index.findTag(repo("leased"), tag("build-1"));
    await index.findAndLeaseManifest(repo("leased"), found?.digest as never, world.terms());
    const bent = { repository: repo("bent"), digest: world.contents.keys().next().value as never };
    const unread = {
      kind: "revision",
      ...bent,
      there: true,
      manifest: null,
      sizeBytes: 1,
    } as const;
    await index.absorb([unread], { nowMs: world.nowMs, recheck: false });
    const rules = [
      rule({ name: "empty", repositories: ["emptied"] }),
      rule({ name: "rest", newest: 1 }),
    ];
    const heard = new Heard();
    const report = await registry.retention.apply({ rules, askedBy: "test" }, heard.hear, never);
    expect(report).toMatchObject({ tags: 0, leased: 1, refused: 1, skipped: 1, repositories: 3 });
    expect(heard.events).toContainEqual({
      kind: "skipped",
      repository: "bent",
      reason: "unjudgeable",
    });
    expect(await registry.tags("emptied")).toHaveLength(2);
  });

  test("stops between two transactions, and what was done is done", async () => {
    const registry = await new SmallRegistry().open();
    await builds(registry, "a", 40);
    const stop = new AbortController();
    const hear = (): void => {
      stop.abort();
    };
    const work = { rules: [rule({ newest: 1 })], askedBy: "test" };
    const report = await registry.retention.apply(work, hear, stop.signal);
    expect(report).toMatchObject({ completed: false, tags: 10, manifests: 10 });
    expect(await registry.tags("a")).toHaveLength(30);
    expect(await registry.retention.apply(work, () => undefined, never)).toMatchObject({
      completed: true,
      tags: 29,
    });
  });

  test("who waits for a turn and is stopped waits no longer, and takes nobody's turn", async () => {
    const gate = Promise.withResolvers<void>();
    const registry = await new SmallRegistry().open();
    await builds(registry, "a", 3);
    const work = { rules: [rule({ newest: 1 })], askedBy: "test" };
    const first = registry.retention.apply(work, () => gate.promise, never);
    const stop = new AbortController();
    const second = registry.retention.apply(work, () => undefined, stop.signal);
    const third = registry.retention.apply(work, () => undefined, never);
    stop.abort(new Error("reloaded"));
    expect(await Promise.race([second, Bun.sleep(1_000)]).catch(String)).toBe("Error: reloaded");
    let isThirdOver = false;
    const over = third.then(() => (isThirdOver = true));
    await Bun.sleep(20);
    expect(isThirdOver).toBe(false);
    gate.resolve();
    expect(await first).toMatchObject({ completed: true, tags: 2 });
    await over;
  });

  test("untagged manifests, too, go no further than to the next transaction", async () => {
    const registry = await new SmallRegistry().open();
    for (let n = 1; n <= 40; n++) await registry.world.image("a", { blobs: [n], tags: [] });
    registry.world.nowMs += 2 * dayMs;
    const work = { rules: [rule({ newest: 1, untaggedOlderThanMs: dayMs })], askedBy: "test" };
    const stop = new AbortController();
    const hear = (): void => {
      stop.abort();
    };
    const report = await registry.retention.apply(work, hear, stop.signal);
    expect(report).toMatchObject({ completed: false, manifests: 10 });
  });

  test("leaves a repository with more tags than can be held alone, and says so", async () => {
    const fact = { digest: "sha256:x", pushedAtMs: 0, imagePushedAtMs: 0, pulledAtMs: null };
    let count = 0;
    const registry = await new SmallRegistry({}, (index) => ({
      ...index,
      retentionTags: (_, { limit }) =>
        Promise.resolve(
          Array.from({ length: limit }, () => ({ ...fact, tag: tag(`t-${count++}`) }) as never),
        ),
    })).open();
    await builds(registry, "a", 2);
    const heard = new Heard();
    const work = { rules: [rule({ newest: 1 })], askedBy: "test" };
    const report = await registry.retention.apply(work, heard.hear, never);
    expect(report).toMatchObject({ tags: 0, skipped: 1 });
    expect(heard.events[0]).toMatchObject({ kind: "skipped", reason: "toomanytags" });
    expect(count).toBeGreaterThan(120_000);
  });

  test("is logged, with who asked and which rules", async () => {
    const runs: RetentionRun[] = [];
    const registry = await new SmallRegistry({ logRun: (run) => runs.push(run) }).open();
    await builds(registry, "a", 3);
    const rules = [
      rule({ name: "x", tags: ["v*"] }),
      rule({ name: "y", newest: 2, onPressure: true }),
    ];
    const work = { rules, askedBy: "command (root)" };
    await registry.retention.preview(work, () => undefined, never);
    await registry.retention.apply(work, () => undefined, never);
    for (const n of [11, 12]) await registry.world.image("a", { blobs: [n], tags: [`new-${n}`] });
    await registry.retention.applyUnderPressure(rules, () => Promise.resolve(true), never);
    expect(runs).toMatchObject([
      { askedBy: "command (root)", rules: ["x", "y"], report: { tags: 1, completed: true } },
      { askedBy: "pressure", rules: ["y"], report: { tags: 1, completed: true } },
    ]);
  });

  test("leaves a line for each tag and image that goes: who, what, why, from where", async () => {
    const lines: AuditEntry[] = [];
    const audit = { record: (entry: AuditEntry) => void lines.push(entry) };
    const registry = await new SmallRegistry({ audit }).open();
    await builds(registry, "a", 3);
    await registry.world.image("a", { blobs: [1], tags: ["v1"] });
    const rules = [rule({ name: "x", tags: ["build-*"], newest: 1, onPressure: true })];
    const actor = { caller: "ann", from: "command line" };
    await registry.retention.preview({ rules, actor }, () => undefined, never);
    expect(lines).toEqual([]);
    await registry.retention.apply({ rules, actor }, () => undefined, never);
    const told = { action: "delete", outcome: "deleted", actor, reason: "retention rule x" };
    const until = startMs + 24 * 3_600_000;
    expect(lines.toSorted((a, b) => a.what.localeCompare(b.what))).toMatchObject([
      { ...told, what: "image", repository: "a" },
      { ...told, what: "tag", repository: "a", reference: "build-1" },
    ]);
    expect(lines.every(({ restorableUntilMs }) => (restorableUntilMs ?? 0) >= until)).toBe(true);
    const listed = await registry.index.listDeletions({ after: null, limit: 10 });
    expect(listed.map(({ deletedBy }) => deletedBy)).toEqual(["ann", "ann"]);
    lines.length = 0;
    await registry.world.image("a", { blobs: [9], tags: ["build-9"] });
    await registry.retention.applyUnderPressure(rules, () => Promise.resolve(true), never);
    expect(lines).toMatchObject([
      { actor: { caller: "retention", from: "pressure" }, restorableUntilMs: null },
    ]);
  });

  test("what was restored counts as pushed then, and is not removed again at once", async () => {
    const registry = await new SmallRegistry().open();
    await builds(registry, "a", 4);
    const work = { rules: [rule({ newest: 2 })], askedBy: "test" };
    await registry.retention.apply(work, () => undefined, never);
    const { world } = registry;
    expect(await restore(world, wantedOf("a", "build-1"))).toMatchObject({ outcome: "restored" });
    expect(await registry.retention.apply(work, () => undefined, never)).toMatchObject({ tags: 1 });
    expect(await registry.tags("a")).toEqual(["build-1", "build-4"]);
  });

  test("two at once take their turns", async () => {
    const registry = await new SmallRegistry().open();
    await builds(registry, "a", 30);
    const work = { rules: [rule({ newest: 1 })], askedBy: "test" };
    const reports = await Promise.all(
      [1, 2].map(() => registry.retention.apply(work, () => undefined, never)),
    );
    expect(reports.map(({ tags, changed }) => [tags, changed])).toEqual([
      [29, 0],
      [0, 0],
    ]);
  });
});
