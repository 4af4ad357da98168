// Immutable tags and quotas: what they refuse leaves no trace, and no race gets past them.
import { describe, expect, test } from "bun:test";
import type {
  AcceptOutcome,
  ImmutableRule,
  PushBounds,
  Quota,
} from "../../../src/registry/ports/index.ts";
import { collect } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { deleteImage, deleteTag, deletionBy, listed, readHeld, restore, tagsIn } from "./undo.ts";
import { blobNo, hourMs, repo, tag } from "./world.ts";

const releases: ImmutableRule = { name: "releases", tags: ["v*", "!*-dev"] };
const held: PushBounds = { immutable: [releases], quotas: [] };
const terms = { nowMs: 1_700_000_000_000, immutable: [releases] };

export function immutableContract(driver: IndexDriver): void {
  describe("immutable tags", () => {
    const world = worldOf(driver);
    const put = async (n: number, tags: readonly string[]): Promise<AcceptOutcome> =>
      (await world().put("a", { layers: [blobNo(n)], tags, bounds: held })).outcome;
    const blobs = async (): Promise<void> => {
      for (const n of [1, 2, 3]) await world().upload("a", n);
    };

    test("a tag that is new is set, then the same manifest again is fine and another denied", async () => {
      await blobs();
      expect(await put(1, ["v1"])).toEqual({ accepted: true });
      expect(await put(1, ["v1"])).toEqual({ accepted: true });
      const digest = (await world().index.findTag(repo("a"), tag("v1")))?.digest ?? blobNo(0);
      expect(await put(2, ["v1"])).toEqual({
        accepted: false,
        missing: [],
        denied: { kind: "immutable", rule: "releases", tag: tag("v1"), digest },
      });
      expect(await world().index.findTag(repo("a"), tag("v1"))).toMatchObject({ digest });
    });

    test("tags that no rule names move, and so do those that it excludes", async () => {
      await blobs();
      await put(1, ["latest", "v1-dev"]);
      expect(await put(2, ["latest", "v1-dev"])).toEqual({ accepted: true });
    });

    test("of several tags in one push all move or none", async () => {
      await blobs();
      await put(1, ["v1"]);
      await world().owed();
      const before = await world().index.totals();
      expect(await put(2, ["latest", "v2", "v1", "v3"])).toMatchObject({ accepted: false });
      const tags = await world().index.listTags(repo("a"), { after: null, limit: 9 });
      expect(tags).toEqual([tag("v1")]);
      expect(await world().index.totals()).toEqual(before);
      expect(await world().owed()).toEqual([]);
    });

    test.each([
      [1, 2],
      [2, 1],
    ])("of two pushes of one new tag (%d, %d) exactly one wins", async (first, second) => {
      await blobs();
      const outcomes = await Promise.all([put(first, ["v1"]), put(second, ["v1"])]);
      expect(outcomes.filter(({ accepted }) => accepted)).toHaveLength(1);
      const winner = outcomes.findIndex(({ accepted }) => accepted) === 0 ? first : second;
      expect(await put(winner, ["v1"])).toEqual({ accepted: true });
    });

    test("neither the tag nor its manifest is deleted; a collection takes nothing of it", async () => {
      const { index } = world();
      await blobs();
      const digest = await world().image("a", { blobs: [1], tags: ["v1", "latest"] });
      expect(await index.deleteTag(repo("a"), tag("v1"), terms)).toBe("immutable");
      const kept = { rule: "releases", tag: tag("v1"), digest };
      const refused = { outcome: "immutable", tags: [], held: kept } as const;
      expect(await index.deleteManifest(repo("a"), digest, terms)).toEqual(refused);
      const deletion = { ...terms, deletedBy: "alice", reason: "client" } as const;
      expect(await index.deleteRestorably(repo("a"), digest, deletion)).toEqual(refused);
      expect(await index.deleteTag(repo("a"), tag("latest"), terms)).toBe("deleted");
      world().nowMs += 2 * hourMs;
      await collect(index, { nowMs: world().nowMs, untagged: true });
      expect(await index.findTag(repo("a"), tag("v1"))).toMatchObject({ digest });
      expect(await index.findBlob(repo("a"), blobNo(1))).not.toBeNull();
      // Without the rule it can go.
      expect(await index.deleteTag(repo("a"), tag("v1"), world().nowMs)).toBe("deleted");
    });

    test("nor is a child of an index that it names, however deep; others are", async () => {
      const { index } = world();
      const child = await world().image("a", { blobs: [1] });
      const other = await world().image("a", { blobs: [2] });
      const inner = await world().put("a", { children: [child] });
      const outer = await world().put("a", { children: [inner.digest], tags: ["v1"] });
      for (const digest of [child, inner.digest, outer.digest]) {
        expect(await index.deleteManifest(repo("a"), digest, terms)).toEqual({
          outcome: "immutable",
          tags: [],
          held: { rule: "releases", tag: tag("v1"), digest: outer.digest },
        });
      }
      expect((await index.deleteManifest(repo("a"), other, terms)).outcome).toBe("deleted");
    });

    test("a subject that only a referrer's tag names can go", async () => {
      const { index } = world();
      const subject = await world().image("a", { blobs: [1] });
      await world().image("a", { blobs: [2], subject, tags: ["v1"] });
      expect((await index.deleteManifest(repo("a"), subject, terms)).outcome).toBe("deleted");
    });

    test("deletions that can be undone leave it alone, too, and record nothing", async () => {
      const { index } = world();
      const child = await world().image("a", { blobs: [1] });
      const parent = await world().put("a", { children: [child], tags: ["v1", "latest"] });
      const other = await world().image("a", { blobs: [2], tags: ["other"] });
      const deletion = { ...deletionBy(world()), immutable: [releases] };
      const kept = { rule: "releases", tag: tag("v1"), digest: parent.digest };
      const wanted = { repository: repo("a"), tag: tag("v1") };
      expect(await index.deleteTagRestorably(wanted, deletion)).toEqual({
        outcome: "immutable",
        digest: parent.digest,
        held: kept,
      });
      for (const digest of [child, parent.digest]) {
        const refused = await index.deleteImage({ repository: repo("a"), digest }, deletion);
        expect(refused).toMatchObject({ outcome: "immutable", manifests: [], held: kept });
      }
      expect(await listed(world())).toEqual([]);
      expect(
        (await index.deleteImage({ repository: repo("a"), digest: other }, deletion)).outcome,
      ).toBe("deleted");
      const whole = await index.deleteRepository(repo("a"), deletion);
      expect(whole).toMatchObject({ outcome: "immutable", more: false, held: kept });
      expect(await tagsIn(world(), "a")).toEqual([tag("latest"), tag("v1")]);
    });

    test("a restore does not move it, asked to or not", async () => {
      await blobs();
      await put(1, ["v1"]);
      await deleteTag(world(), "a", "v1");
      await put(2, ["v1"]);
      const now = await world().index.findTag(repo("a"), tag("v1"));
      for (const forceTags of [false, true]) {
        const outcome = await restore(
          world(),
          { repository: repo("a"), tag: tag("v1") },
          {
            forceTags,
            bounds: held,
          },
        );
        expect(outcome).toMatchObject({ outcome: "taken", taken: [{ tag: tag("v1") }] });
      }
      expect(await world().index.findTag(repo("a"), tag("v1"))).toEqual(now);
    });

    test("holds in its repository alone", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["v1"] });
      await world().image("b", { blobs: [1], tags: ["x"] });
      expect((await index.deleteManifest(repo("b"), digest, terms)).outcome).toBe("deleted");
    });

    test("a deletion before a push frees the tag, after it does not", async () => {
      const { index, nowMs } = world();
      await blobs();
      await put(1, ["v1"]);
      const deleted = await Promise.all([
        index.deleteTag(repo("a"), tag("v1"), nowMs),
        put(2, ["v1"]),
      ]);
      expect(deleted).toEqual(["deleted", { accepted: true }]);
      const denied = await Promise.all([
        put(3, ["v1"]),
        index.deleteTag(repo("a"), tag("v1"), nowMs),
      ]);
      expect(denied).toMatchObject([{ accepted: false }, "deleted"]);
    });
  });
}

const quotaOf = (limits: Quota["limits"]): Quota => ({ name: "q", limits, contact: null });
const bounded = (limits: Quota["limits"]): PushBounds => ({
  immutable: [],
  quotas: [quotaOf(limits)],
});

export function quotaContract(driver: IndexDriver): void {
  describe("quotas", () => {
    const world = worldOf(driver);
    const put = async (
      n: number,
      limits: Quota["limits"],
      tags: readonly string[] = [`t${n}`],
    ): Promise<AcceptOutcome> => {
      await world().upload("a", n);
      return (await world().put("a", { layers: [blobNo(n)], tags, bounds: bounded(limits) }))
        .outcome;
    };
    const usage = (): ReturnType<World["index"]["repositoryUsage"]> =>
      world().index.repositoryUsage(repo("a"));
    type World = ReturnType<typeof world>;

    test("of manifests: what is beyond is refused and leaves nothing", async () => {
      expect(await put(1, { manifests: 1 })).toMatchObject({ accepted: true });
      await world().owed();
      const before = [await usage(), await world().index.totals()] as const;
      expect(await put(1, { manifests: 1 }, ["again"])).toMatchObject({ accepted: true });
      expect(await put(2, { manifests: 1 })).toEqual({
        accepted: false,
        missing: [],
        denied: {
          kind: "quota",
          quota: quotaOf({ manifests: 1 }),
          measure: "manifests",
          use: 2,
          limit: 1,
        },
      });
      expect(await usage()).toEqual({ ...before[0], tags: 2 } as (typeof before)[0]);
      const { manifests, blobs } = await world().index.totals();
      // The layer that was uploaded for it is there, leased, until it is collected.
      expect({ manifests, blobs }).toEqual({
        manifests: before[1].manifests,
        blobs: before[1].blobs + 1,
      });
    });

    test("of tags: a new one is refused, one that moves is not", async () => {
      expect(await put(1, { tags: 1 }, ["x"])).toMatchObject({ accepted: true });
      expect(await put(2, { tags: 1 }, ["y"])).toMatchObject({
        accepted: false,
        denied: { measure: "tags", use: 2, limit: 1 },
      });
      expect(await put(2, { tags: 1 }, ["x"])).toMatchObject({ accepted: true });
      expect(await put(3, { tags: 1 }, [])).toMatchObject({ accepted: true });
    });

    test("of bytes: shared layers count once, and deleting makes room", async () => {
      await put(100, {});
      const used = (await usage())?.logicalBytes ?? 0;
      const another = await world().put("a", {
        layers: [blobNo(100)],
        more: { annotations: { n: "1" } },
        bounds: bounded({ bytes: used + 400 }),
      });
      // Its own bytes, and not those of the layer again.
      expect(another.outcome).toMatchObject({ accepted: true });
      const limit = ((await usage())?.logicalBytes ?? 0) + 800;
      expect(await put(700, { bytes: limit })).toMatchObject({
        accepted: false,
        denied: { measure: "bytes", limit },
      });
      await world().index.deleteManifest(repo("a"), another.digest, world().nowMs);
      expect(await put(700, { bytes: limit })).toMatchObject({ accepted: true });
    });

    test("what is there is never refused, however far beyond the quota it is", async () => {
      await put(1, {});
      await put(2, {});
      const lowered = { bytes: 1, manifests: 1, tags: 1 };
      expect(await put(1, lowered)).toMatchObject({ accepted: true });
      expect(await put(2, lowered, ["t1"])).toMatchObject({ accepted: true });
      // And with its bytes lost and pushed again.
      const lost = (await world().index.findTag(repo("a"), tag("t1")))?.digest ?? blobNo(0);
      await world().index.loseBytes(lost);
      expect(await put(2, lowered, ["t1"])).toMatchObject({ accepted: true });
    });

    test("near a limit it says so, from 80 % on; every quota counts", async () => {
      for (const n of [1, 2, 3]) expect(await put(n, { tags: 5 })).toEqual({ accepted: true });
      const near = await put(4, { tags: 5, manifests: 5 });
      expect(near).toMatchObject({
        near: [
          { measure: "manifests", use: 4, limit: 5 },
          { measure: "tags", use: 4, limit: 5 },
        ],
      });
      await world().upload("a", 5);
      const both = await world().put("a", {
        layers: [blobNo(5)],
        tags: ["t5"],
        bounds: { immutable: [], quotas: [quotaOf({ tags: 9 }), quotaOf({ manifests: 4 })] },
      });
      expect(both.outcome).toMatchObject({ denied: { measure: "manifests", limit: 4 } });
    });

    test("a restore is an acceptance: over the quota nothing comes back, within it does", async () => {
      await put(1, {}, ["x"]);
      await put(2, {}, ["y"]);
      const digest = (await world().index.findTag(repo("a"), tag("x")))?.digest ?? blobNo(0);
      await deleteImage(world(), "a", digest);
      await world().owed();
      const before = await usage();
      const [entry] = await listed(world());
      const asked = await readHeld(world(), entry?.id ?? 0);
      const denied = await world().index.restoreDeletion({
        ...asked,
        bounds: bounded({ manifests: 1 }),
      });
      expect(denied).toMatchObject({
        outcome: "denied",
        denied: { kind: "quota", measure: "manifests", use: 2, limit: 1 },
      });
      expect(await usage()).toEqual(before);
      expect(await world().owed()).toEqual([]);
      expect(await listed(world())).toHaveLength(1);
      const restored = await world().index.restoreDeletion({
        ...asked,
        bounds: bounded({ manifests: 2 }),
      });
      expect(restored).toMatchObject({ outcome: "restored", tags: [tag("x")] });
    });

    test.each([
      [1, 2],
      [2, 1],
    ])("of two pushes at once (%d, %d) no more than fit are accepted", async (first, second) => {
      await world().upload("a", 1);
      await world().upload("a", 2);
      const outcomes = await Promise.all([
        put(first, { manifests: 1 }),
        put(second, { manifests: 1 }),
      ]);
      expect(outcomes.map(({ accepted }) => accepted)).toEqual([true, false]);
      expect(await usage()).toMatchObject({ manifests: 1 });
    });
  });
}
