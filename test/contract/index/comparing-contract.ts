// What the tree says: differences (INV-8), what cannot be read (INV-7), a rebuild.
import { describe, expect, test } from "bun:test";
import type { Digest } from "../../../src/oci/index.ts";
import type { Difference, TreeProblem } from "../../../src/registry/ports/index.ts";
import { allFacts, collect, recount } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, contentOf, hourMs, repo, tag } from "./world.ts";

const problem = (kind: TreeProblem["kind"], more: Partial<TreeProblem> = {}): TreeProblem => ({
  kind,
  repository: null,
  name: null,
  path: `/somewhere/${kind}`,
  detail: "because",
  ...more,
});

export function unreadableContract(driver: IndexDriver): void {
  describe("what cannot be read (INV-7)", () => {
    const world = worldOf(driver);

    /** A revision in the tree whose bytes are no manifest. */
    const bend = async (repository: string, digest: Digest): Promise<void> => {
      const revision = { kind: "revision", repository: repo(repository), digest } as const;
      world().tree.setLink(revision, digest);
      world().tree.setBlob(digest, 9);
      const taken = await world().index.absorb(
        [
          { kind: "blob", digest, sizeBytes: 9, modifiedMs: 0 },
          { ...revision, there: true, manifest: null, sizeBytes: 9 },
        ],
        { nowMs: world().nowMs, recheck: true },
      );
      expect(taken).toBe(2);
    };
    const run = (): Promise<void> =>
      collect(world().index, { nowMs: world().nowMs, untagged: true });

    test("an unreadable manifest keeps everything in its repository, and nothing elsewhere", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1] });
      await world().upload("a", 2);
      await world().upload("b", 2);
      await world().upload("b", 3);
      const bent = contentOf({ config: blobNo(50) }).digest;
      await bend("a", bent);
      world().nowMs += 2 * hourMs;
      await run();
      expect(await index.findManifest(repo("a"), digest)).not.toBeNull();
      expect(await index.findBlob(repo("a"), blobNo(1))).not.toBeNull();
      expect(await index.findBlob(repo("a"), blobNo(2))).not.toBeNull();
      expect((await world().manifest("a", digest)).keptBy).toBe("unreadable");
      expect(await world().blob("a", blobNo(2))).toMatchObject({
        neededHere: true,
        referenced: true,
      });
      expect(await index.unlinkBlob(repo("a"), blobNo(2), world().nowMs)).toEqual({
        outcome: "needed",
        neededBy: [bent],
      });
      expect(await index.findBlob(repo("b"), blobNo(2))).toBeNull();
      expect(await index.findBlobAnywhere(blobNo(3))).toBeNull();
    });

    test("it is not served, but its bytes are", async () => {
      const { index } = world();
      const bent = contentOf({ config: blobNo(50) }).digest;
      await bend("a", bent);
      expect(await index.findManifest(repo("a"), bent)).toBeNull();
      expect(await index.findBlob(repo("a"), bent)).toEqual({ digest: bent, sizeBytes: 9 });
    });

    test("deleted, it lets go", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1] });
      const bent = contentOf({ config: blobNo(50) }).digest;
      await bend("a", bent);
      world().nowMs += 2 * hourMs;
      await run();
      await index.deleteManifest(repo("a"), bent, world().nowMs);
      await run();
      expect(await index.findManifest(repo("a"), digest)).toBeNull();
      expect(await index.totals()).toMatchObject({ blobs: 0, manifests: 0 });
    });

    test("healed by a push, it lets go of what it does not name, and is served", async () => {
      const { index } = world();
      await world().upload("a", 1);
      await world().upload("a", 2);
      const push = { config: blobNo(1), tags: ["x"] };
      await bend("a", contentOf(push).digest);
      world().nowMs += 2 * hourMs;
      await run();
      expect(await index.findBlob(repo("a"), blobNo(2))).not.toBeNull();
      expect((await world().put("a", push)).outcome).toEqual({ accepted: true });
      expect(await index.findTag(repo("a"), tag("x"))).not.toBeNull();
      await run();
      expect(await index.findBlob(repo("a"), blobNo(1))).not.toBeNull();
      expect(await index.findBlob(repo("a"), blobNo(2))).toBeNull();
    });

    test("while a directory could not be listed, no blob is condemned at all", async () => {
      const { index } = world();
      await world().upload("a", 1);
      world().nowMs += 2 * hourMs;
      await index.recordProblems([problem("unlistable-directory")], { first: true });
      expect(await index.hasUnlistable()).toBe(true);
      await run();
      expect(await index.findBlob(repo("a"), blobNo(1))).not.toBeNull();
      await index.recordProblems([], { first: true });
      expect(await index.hasUnlistable()).toBe(false);
      await run();
      expect(await index.findBlobAnywhere(blobNo(1))).toBeNull();
    });

    test("an unreadable tag stops removal by policy in its repository, not elsewhere", async () => {
      const { index } = world();
      const kept = await world().image("a", { blobs: [1] });
      const gone = await world().image("b", { blobs: [1] });
      world().nowMs += 2 * hourMs;
      const unreadable = problem("unreadable-tag", { repository: repo("a"), name: "x" });
      await index.recordProblems([unreadable], { first: true });
      await run();
      expect(await index.findManifest(repo("a"), kept)).not.toBeNull();
      expect(await index.findManifest(repo("b"), gone)).toBeNull();
    });

    test("problems are listed page by page, and replaced by the next comparison's", async () => {
      const { index } = world();
      const odd = [
        problem("bad-link", { repository: repo("a"), name: "x" }),
        problem("leftover-file"),
        problem("dangling-tag", { detail: "ü\ud83d\ude00" }),
      ];
      await index.recordProblems(odd.slice(0, 2), { first: true });
      await index.recordProblems(odd.slice(2), { first: false });
      const first = await index.listProblems(0, 2);
      expect(first).toMatchObject(odd.slice(0, 2));
      expect(await index.listProblems(first[1]?.cursor ?? 0, 9)).toMatchObject(odd.slice(2));
      await index.recordProblems(odd.slice(0, 1), { first: true });
      expect(await index.listProblems(0, 9)).toHaveLength(1);
    });
  });
}

export function absorbContract(driver: IndexDriver): void {
  describe("differences (INV-8)", () => {
    const world = worldOf(driver);
    const absorb = (difference: Difference, recheck = true): Promise<number> =>
      world().index.absorb([difference], { nowMs: world().nowMs, recheck });

    test("each kind is taken in when the tree still says so", async () => {
      const { index, tree, nowMs } = world();
      const content = contentOf({ config: blobNo(1) });
      const { digest, manifest } = content;
      const [name, which] = [repo("a"), tag("x")];
      const sizeBytes = content.bytes.length;
      for (const [blob, size] of [
        [blobNo(1), 1],
        [digest, sizeBytes],
      ] as const) {
        tree.setBlob(blob, size);
        await absorb({ kind: "blob", digest: blob, sizeBytes: size, modifiedMs: nowMs });
      }
      tree.setLink({ kind: "layer", repository: name, digest: blobNo(1) }, blobNo(1));
      expect(
        await absorb({ kind: "layer", repository: name, digest: blobNo(1), there: true }),
      ).toBe(1);
      tree.setLink({ kind: "revision", repository: name, digest }, digest);
      const revision = { kind: "revision", repository: name, digest, manifest, sizeBytes } as const;
      expect(await absorb({ ...revision, there: true })).toBe(1);
      tree.setLink({ kind: "tag", repository: name, tag: which }, digest);
      const tagged = { kind: "tag", repository: name, tag: which, modifiedMs: nowMs } as const;
      expect(await absorb({ ...tagged, digest })).toBe(1);
      const old = { kind: "tag-history", repository: name, tag: which, digest: blobNo(7) } as const;
      tree.setLink(old, blobNo(7));
      expect(await absorb({ ...old, there: true })).toBe(1);
      await absorb({ kind: "upload", repository: name, id: "one", startedAtMs: 5 });

      expect(await index.findTag(name, which)).toMatchObject({ digest, sizeBytes });
      expect(await index.findBlob(name, blobNo(1))).toEqual({ digest: blobNo(1), sizeBytes: 1 });
      expect(await index.findUpload(name, "one")).toMatchObject({ startedAtMs: 5, owner: null });
      const facts = await index.repositoryFacts(name);
      expect(facts.layers).toEqual(new Set([blobNo(1)]));
      expect(facts.revisions).toEqual(new Set([digest]));
      expect(facts.tagHistory.get(which)).toEqual(new Set([digest, blobNo(7)]));
      expect(facts.uploads).toEqual(new Set(["one"]));
      // What comes from the tree is not owed to it.
      expect(await world().owed()).toEqual([]);
      expect(await index.totals()).toEqual(recount(await allFacts(index)));

      tree.setLink({ kind: "tag", repository: name, tag: which }, null);
      expect(await absorb({ ...tagged, digest: null })).toBe(1);
      tree.setLink({ kind: "revision", repository: name, digest }, null);
      expect(await absorb({ ...revision, there: false })).toBe(1);
      expect(await index.findManifest(name, digest)).toBeNull();
      expect(await index.listTags(name, { after: null, limit: 9 })).toEqual([]);
    });

    test("INV-9: lost bytes are absent, the totals with them; a push brings them back", async () => {
      const { index } = world();
      await world().upload("a", 1);
      const digest = blobNo(1);
      const before = await index.totals();
      expect(await index.loseBytes(digest)).toBe(true);
      expect(await index.findBlob(repo("a"), digest)).toBeNull();
      expect(await index.findBlobAnywhere(digest)).toBeNull();
      expect(await index.totals()).toMatchObject({ blobs: before.blobs - 1, blobBytes: 0 });
      expect(await index.totals()).toEqual(recount(await allFacts(index)));
      expect(await index.loseBytes(digest)).toBe(false);
      expect(await index.loseBytes(blobNo(99))).toBe(false);
      await world().upload("a", 1);
      expect(await index.totals()).toEqual(before);
    });

    test("a condemned blob that has lost its bytes stays the collector's (INV-3)", async () => {
      const { index } = world();
      await world().upload("a", 1);
      world().nowMs += 2 * hourMs;
      const { nowMs } = world();
      const candidates = await index.blobCandidates({ after: null, limit: 9, nowMs });
      const { condemned } = await index.condemn(candidates, { nowMs, foreignGraceMs: 0 });
      expect(condemned).toHaveLength(1);
      expect(await index.loseBytes(blobNo(1))).toBe(false);
      expect(await index.isCondemned(blobNo(1))).toBe(true);
      await index.forget([blobNo(1)]);
      expect(await index.totals()).toEqual(recount(await allFacts(index)));
    });

    test("how far a reader of all blobs came: kept, also over a rebuild, until it is forgotten", async () => {
      const { index } = world();
      expect(await index.readingPosition("verify")).toBeNull();
      await index.setReadingPosition("verify", "here");
      await index.setReadingPosition("scrub", "there");
      await index.setReadingPosition("verify", "further");
      await index.startRebuild();
      await index.markComplete();
      expect(await index.readingPosition("verify")).toBe("further");
      await index.setReadingPosition("verify", null);
      await index.setReadingPosition("verify", null);
      expect(await index.readingPosition("verify")).toBeNull();
      expect(await index.readingPosition("scrub")).toBe("there");
    });

    test("a bent link holds what its directory is named after (INV-7)", async () => {
      const { index, tree } = world();
      const layer = { kind: "layer", repository: repo("a"), digest: blobNo(1) } as const;
      for (const bent of ["", "rubbish", blobNo(2)]) {
        tree.setLink(layer, bent);
        expect(await absorb({ ...layer, there: true })).toBe(1);
        expect((await index.repositoryFacts(repo("a"))).layers).toEqual(new Set([blobNo(1)]));
      }
    });

    test("not when the tree says something else by now", async () => {
      const { index, tree, nowMs } = world();
      const name = repo("a");
      tree.setBlob(blobNo(1), 2);
      expect(
        await absorb({ kind: "blob", digest: blobNo(1), sizeBytes: 1, modifiedMs: nowMs }),
      ).toBe(0);
      expect(
        await absorb({ kind: "blob", digest: blobNo(1), sizeBytes: null, modifiedMs: nowMs }),
      ).toBe(0);
      const layer = { kind: "layer", repository: name, digest: blobNo(1) } as const;
      expect(await absorb({ ...layer, there: true })).toBe(0);
      tree.setLink(layer, blobNo(1));
      expect(await absorb({ ...layer, there: false })).toBe(0);
      tree.setLink({ kind: "tag", repository: name, tag: tag("x") }, blobNo(2));
      const tagged = { kind: "tag", repository: name, tag: tag("x"), modifiedMs: nowMs } as const;
      expect(await absorb({ ...tagged, digest: blobNo(1) })).toBe(0);
      expect(await absorb({ ...tagged, digest: null })).toBe(0);
      expect(await index.findBlobAnywhere(blobNo(1))).toBeNull();
      expect(await index.listKnownRepositories({ after: null, limit: 9 })).toEqual([]);
    });

    test("not where the tree still owes something: there the index is right", async () => {
      const { index, nowMs } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const [repository, manifest] = [repo("a"), contentOf({ layers: [blobNo(1)] }).manifest];
      const gone: Difference[] = [
        { kind: "layer", repository, digest: blobNo(1), there: false },
        { kind: "revision", repository, digest, there: false, manifest, sizeBytes: null },
        { kind: "tag", repository, tag: tag("x"), digest: null, modifiedMs: nowMs },
        { kind: "tag-history", repository, tag: tag("x"), digest, there: false },
      ];
      expect(await index.absorb(gone, { nowMs, recheck: true })).toBe(0);
      expect(await index.findTag(repository, tag("x"))).toMatchObject({ digest });
      // Once the tree has followed (it is empty all the same), the tree is right.
      await world().owed();
      await index.absorb(gone, { nowMs, recheck: true });
      expect(await index.findTag(repository, tag("x"))).toBeNull();
      expect(await index.findBlob(repository, blobNo(1))).toBeNull();
    });

    test("not a condemned blob, whose bytes are on their way out", async () => {
      const { index } = world();
      await world().upload("a", 1);
      world().nowMs += 2 * hourMs;
      const { nowMs } = world();
      await index.condemn([{ repository: repo("a"), digest: blobNo(1) }], {
        nowMs,
        foreignGraceMs: 0,
      });
      world().tree.setBlob(blobNo(1), 1);
      expect(await absorb({ kind: "blob", digest: blobNo(1), sizeBytes: 1, modifiedMs: 0 })).toBe(
        0,
      );
      expect(await index.isCondemned(blobNo(1))).toBe(true);
    });

    test("at the first build everything is taken as it comes; times of files have fractions", async () => {
      const { index } = world();
      const blob = {
        kind: "blob",
        digest: blobNo(3),
        sizeBytes: 3,
        modifiedMs: 1_699.123,
      } as const;
      expect(await absorb(blob, false)).toBe(1);
      expect(await index.findBlobAnywhere(blobNo(3))).toEqual({ digest: blobNo(3), sizeBytes: 3 });
      expect(await index.blobsWithPrefix("sha256", blobNo(3).slice(7, 9))).toEqual(
        new Map([[blobNo(3), 3]]),
      );
      expect(await index.blobsWithPrefix("sha512", blobNo(3).slice(7, 9))).toEqual(new Map());
    });

    test("a rebuild empties all that the tree holds, and counts only once it is complete", async () => {
      const { index } = world();
      await world().image("a", { blobs: [1], tags: ["x"] });
      await index.setRootId("the root");
      expect(await index.isComplete()).toBe(false);
      await index.markComplete();
      expect(await index.isComplete()).toBe(true);
      const owed = await index.pendingRedo(99);
      await index.startRebuild();
      expect(await index.isComplete()).toBe(false);
      expect(await index.rootId()).toBe("the root");
      expect(await index.totals()).toEqual({
        blobs: 0,
        blobBytes: 0,
        manifests: 0,
        repositories: 0,
      });
      expect(await index.listKnownRepositories({ after: null, limit: 9 })).toEqual([]);
      expect(await index.pendingRedo(99)).toHaveLength(owed.length);
      await world().image("a", { blobs: [1], tags: ["x"] });
      expect(await index.totals()).toEqual(recount(await allFacts(index)));
      await index.markComplete();
      expect(await index.isComplete()).toBe(true);
    });

    test("the root's id is null until it is set", async () => {
      const { index } = world();
      expect(await index.rootId()).toBeNull();
      await index.setRootId("one");
      expect(await index.rootId()).toBe("one");
    });

    test("closing twice is closing once", async () => {
      const { index } = world();
      await world().upload("a", 1);
      await index.checkpoint();
      await index.close();
      await index.close();
    });
  });
}
