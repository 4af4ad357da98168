// Condemning (INV-6), forgetting (INV-3), and the removal of manifests.
import { describe, expect, test } from "bun:test";
import type { Digest } from "../../../src/oci/index.ts";
import type { CondemnOutcome } from "../../../src/registry/ports/index.ts";
import { collect } from "./collect.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, contentOf, hourMs, repo, short, tag } from "./world.ts";

const nothing: CondemnOutcome = { condemned: [], linksRemoved: [] };

export function condemnContract(driver: IndexDriver): void {
  describe("condemning (INV-6)", () => {
    const world = worldOf(driver);
    const condemn = (
      repository: string | null,
      digest: Digest,
      foreignGraceMs = 0,
    ): Promise<CondemnOutcome> =>
      world().index.condemn(
        [{ repository: repository === null ? null : repo(repository), digest }],
        {
          nowMs: world().nowMs,
          foreignGraceMs,
        },
      );
    const dueAt = async (nowMs: number): Promise<string[]> =>
      (await world().index.blobCandidates({ after: null, limit: 99, nowMs })).map(
        ({ repository, digest }) => `${repository} ${short(digest)}`,
      );

    test("what nothing holds: it answers nothing any more, its links go, its bytes are not counted", async () => {
      const { index } = world();
      await world().upload("a", 7);
      await world().upload("b", 7);
      await world().owed();
      world().nowMs += hourMs;
      const outcome = await condemn("a", blobNo(7));
      expect(outcome.condemned).toEqual([{ digest: blobNo(7), sizeBytes: 7 }]);
      expect(outcome.linksRemoved.map(({ repository }) => repository).toSorted()).toEqual([
        repo("a"),
        repo("b"),
      ]);
      expect(await index.findBlob(repo("a"), blobNo(7))).toBeNull();
      expect(await index.findBlob(repo("b"), blobNo(7))).toBeNull();
      expect(await index.findBlobAnywhere(blobNo(7))).toBeNull();
      expect(await index.findSizes([blobNo(7)])).toEqual(new Map());
      const head = await index.findAndLeaseBlob(repo("a"), blobNo(7), world().terms());
      expect(head).toBeNull();
      expect(await index.isCondemned(blobNo(7))).toBe(true);
      expect(await index.totals()).toMatchObject({ blobs: 0, blobBytes: 0 });
      const link = short(blobNo(7));
      expect((await world().owed()).toSorted()).toEqual([
        `layer a ${link}: gone`,
        `layer b ${link}: gone`,
      ]);
      expect(await dueAt(world().nowMs + 99 * hourMs)).toEqual([]);
    });

    test("not what a manifest names, in whatever way and repository", async () => {
      const { index } = world();
      for (const n of [1, 2, 3, 4, 5]) await world().upload("a", n);
      for (const n of [1, 2, 3]) await world().upload("b", n);
      const more = { extra: { digest: blobNo(4) } };
      await world().put("b", { config: blobNo(1), layers: [blobNo(2)], subject: blobNo(3), more });
      await world().put("b", { children: [blobNo(1)] });
      world().nowMs += hourMs;
      for (const n of [1, 2, 3, 4]) {
        expect((await world().blob(null, blobNo(n))).referenced).toBe(true);
        expect((await condemn("a", blobNo(n))).condemned).toEqual([]);
        expect(await index.findBlobAnywhere(blobNo(n))).not.toBeNull();
      }
      expect((await condemn("a", blobNo(5))).condemned).toHaveLength(1);
    });

    test("not a live manifest's own bytes; afterwards, yes", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1] });
      world().nowMs += hourMs;
      expect(await condemn("a", digest)).toEqual(nothing);
      expect(await condemn(null, digest)).toEqual(nothing);
      await index.deleteManifest(repo("a"), digest, world().nowMs);
      expect((await condemn("a", digest)).condemned).toHaveLength(1);
    });

    test("not what is leased, in any repository: it is put off until the lease ends", async () => {
      const { index } = world();
      await world().upload("a", 1);
      world().nowMs += hourMs / 2;
      await world().upload("b", 1, "bob");
      world().nowMs += hourMs / 2;
      // The link in a is leased no more, so it goes; the blob stays for b's sake.
      expect(await condemn("a", blobNo(1))).toEqual({
        condemned: [],
        linksRemoved: [{ repository: repo("a"), digest: blobNo(1) }],
      });
      expect(await condemn("b", blobNo(1))).toEqual(nothing);
      expect(await index.findBlob(repo("b"), blobNo(1))).not.toBeNull();
      expect(await dueAt(world().nowMs)).toEqual([]);
      world().nowMs += hourMs / 2;
      expect(await dueAt(world().nowMs)).toContain(`b ${short(blobNo(1))}`);
      expect((await condemn("b", blobNo(1))).condemned).toHaveLength(1);
    });

    test("a link goes when its repository needs it no more, the blob when none does", async () => {
      const { index } = world();
      await world().image("a", { blobs: [1], tags: ["x"] });
      await world().upload("b", 1);
      world().nowMs += hourMs;
      expect(await condemn("b", blobNo(1))).toEqual({
        condemned: [],
        linksRemoved: [{ repository: repo("b"), digest: blobNo(1) }],
      });
      expect(await index.findBlob(repo("b"), blobNo(1))).toBeNull();
      expect(await condemn("a", blobNo(1))).toEqual(nothing);
      expect(await index.findBlob(repo("a"), blobNo(1))).not.toBeNull();
    });

    test("what a reference holds leaves the queue", async () => {
      await world().upload("a", 1);
      await world().upload("b", 1);
      world().nowMs += hourMs;
      await world().put("a", { config: blobNo(1), tags: ["x"] });
      expect(await dueAt(world().nowMs)).toEqual([`b ${short(blobNo(1))}`]);
      await condemn("b", blobNo(1));
      expect(await dueAt(world().nowMs)).toEqual([]);
    });

    test("what is uploaded again is there again, and is not forgotten", async () => {
      const { index } = world();
      await world().upload("a", 3);
      world().nowMs += hourMs;
      await condemn("a", blobNo(3));
      await world().upload("b", 3);
      expect(await index.isCondemned(blobNo(3))).toBe(false);
      await index.forget([blobNo(3)]);
      expect(await index.findBlob(repo("b"), blobNo(3))).toEqual({
        digest: blobNo(3),
        sizeBytes: 3,
      });
      expect(await index.findBlob(repo("a"), blobNo(3))).toBeNull();
      expect(await index.totals()).toMatchObject({ blobs: 1, blobBytes: 3 });
    });

    test("a manifest whose bytes are condemned may be pushed again", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      await index.deleteManifest(repo("a"), digest, world().nowMs);
      await condemn("a", digest);
      expect(await index.isCondemned(digest)).toBe(true);
      await world().put("a", { layers: [blobNo(1)], tags: ["x"] });
      expect(await index.isCondemned(digest)).toBe(false);
      expect(await index.findTag(repo("a"), tag("x"))).toMatchObject({ digest });
    });

    test("condemned blobs are listed in digest order, page by page, until they are forgotten", async () => {
      const { index } = world();
      for (const n of [1, 2, 3, 4, 5]) await world().upload("a", n);
      world().nowMs += hourMs;
      for (const n of [1, 2, 3, 4, 5]) await condemn("a", blobNo(n));
      const inOrder = [1, 2, 3, 4, 5].map(blobNo).sort();
      const first = await index.listCondemned({ after: null, limit: 3 });
      expect(first.map(({ digest }) => digest)).toEqual(inOrder.slice(0, 3));
      const rest = await index.listCondemned({ after: inOrder[2] ?? null, limit: 9 });
      expect(rest.map(({ digest }) => digest)).toEqual(inOrder.slice(3));
      await index.forget([...inOrder.slice(0, 4), blobNo(99)]);
      const left = await index.listCondemned({ after: null, limit: 9 });
      expect(left.map(({ digest }) => digest)).toEqual(inOrder.slice(4));
      expect(await index.isCondemned(inOrder[0] ?? blobNo(0))).toBe(false);
    });

    test("a condemned blob that something has come to name is absent once forgotten", async () => {
      const { index } = world();
      await world().upload("a", 1);
      world().nowMs += hourMs;
      await condemn("a", blobNo(1));
      await world().upload("a", 2);
      const { digest } = await world().put("a", {
        config: blobNo(2),
        subject: blobNo(1),
        tags: ["x"],
      });
      await index.forget([blobNo(1)]);
      expect(await index.findBlobAnywhere(blobNo(1))).toBeNull();
      const page = { after: null, limit: 9, artifactType: null };
      const referrers = await index.listReferrers(repo("a"), blobNo(1), page);
      expect(referrers.map((referrer) => referrer.digest)).toEqual([digest]);
    });

    test("what nobody knows is stepped over", async () => {
      expect(await condemn("a", blobNo(1))).toEqual(nothing);
      expect(await condemn(null, blobNo(1))).toEqual(nothing);
      await world().upload("a", 1);
      world().nowMs += hourMs;
      // From the wrong repository: the blob is nobody's all the same.
      expect((await condemn("nowhere", blobNo(1))).condemned).toHaveLength(1);
    });

    test("bytes found in the tree are spared for the foreign grace, what we saw lose a reference is not", async () => {
      const { index } = world();
      const found = [1, 2].map(
        (n) =>
          ({
            kind: "blob",
            digest: blobNo(n),
            sizeBytes: n,
            modifiedMs: world().nowMs + 0.25,
          }) as const,
      );
      for (const n of [1, 2]) world().tree.setBlob(blobNo(n), n);
      await index.absorb(found, { nowMs: world().nowMs, recheck: true });
      expect((await condemn(null, blobNo(1), hourMs)).condemned).toEqual([]);
      // The next run may be asked for a shorter grace, so it is not put off.
      expect(await dueAt(world().nowMs)).toContain(`null ${short(blobNo(1))}`);
      expect((await condemn(null, blobNo(1), 0)).condemned).toHaveLength(1);
      await world().upload("a", 2);
      await index.unlinkBlob(repo("a"), blobNo(2), world().nowMs);
      expect((await condemn(null, blobNo(2), hourMs)).condemned).toHaveLength(1);
    });

    test("candidates come in the order in which they are due, page by page", async () => {
      for (const n of [1, 2, 3]) {
        await world().upload("a", n);
        world().nowMs += 1;
      }
      const { index, nowMs } = world();
      const later = nowMs + hourMs;
      const [first] = await index.blobCandidates({ after: null, limit: 1, nowMs: later });
      expect(first).toMatchObject({ digest: blobNo(1), repository: repo("a"), linked: true });
      const after = first?.position ?? null;
      const rest = await index.blobCandidates({ after, limit: 9, nowMs: later });
      expect(rest.map(({ digest }) => digest)).toEqual([blobNo(2), blobNo(3)]);
      expect(await index.blobCandidates({ after: null, limit: 9, nowMs })).toEqual([]);
    });
  });
}

export function removalContract(driver: IndexDriver): void {
  describe("removing manifests", () => {
    const world = worldOf(driver);
    const there = async (digest: Digest): Promise<boolean> =>
      (await world().index.findManifest(repo("a"), digest)) !== null;
    const run = (untagged: boolean): Promise<void> =>
      collect(world().index, { nowMs: world().nowMs, untagged });

    test("untagged ones only when they are asked for, and never what a tag leads to", async () => {
      const { index } = world();
      const child = await world().image("a", { blobs: [1] });
      const parent = await world().put("a", { children: [child] });
      const top = await world().put("a", { children: [parent.digest], tags: ["x"] });
      const referrer = await world().put("a", { config: blobNo(1), subject: child });
      const orphan = await world().image("a", { blobs: [2] });
      world().nowMs += 2 * hourMs;
      await run(false);
      for (const digest of [child, parent.digest, top.digest, referrer.digest, orphan]) {
        expect(await there(digest)).toBe(true);
      }
      await run(true);
      expect(await there(orphan)).toBe(false);
      for (const digest of [child, parent.digest, top.digest, referrer.digest]) {
        expect(await there(digest)).toBe(true);
      }
      await index.deleteTag(repo("a"), tag("x"), world().nowMs);
      await run(true);
      expect(await index.totals()).toMatchObject({ manifests: 0, blobs: 0 });
    });

    test("a referrer whose subject was removed goes; one that came before its subject stays", async () => {
      const { index } = world();
      const subject = await world().image("a", { blobs: [1], tags: ["x"] });
      const signature = await world().put("a", { layers: [blobNo(1)], subject });
      const early = await world().put("a", {
        config: blobNo(1),
        subject: contentOf({ config: blobNo(9) }).digest,
      });
      world().nowMs += 2 * hourMs;
      await run(false);
      expect(await there(signature.digest)).toBe(true);
      await index.deleteManifest(repo("a"), subject, world().nowMs);
      await run(false);
      expect(await there(signature.digest)).toBe(false);
      expect(await there(early.digest)).toBe(true);
    });

    test("not when its subject came back, nor when it was itself pushed again", async () => {
      const { index } = world();
      const push = { layers: [blobNo(1)], tags: ["x"] };
      const subject = await world().image("a", { blobs: [1], tags: ["x"] });
      const signature = { layers: [blobNo(1)], subject };
      const { digest } = await world().put("a", signature);
      world().nowMs += 2 * hourMs;
      await index.deleteManifest(repo("a"), subject, world().nowMs);
      await world().put("a", push);
      await run(false);
      expect(await there(digest)).toBe(true);
      await index.deleteManifest(repo("a"), subject, world().nowMs);
      await world().put("a", signature);
      world().nowMs += 2 * hourMs;
      await run(false);
      expect(await there(digest)).toBe(true);
    });

    const removeOnly = async (...digests: Digest[]): Promise<Digest[]> => {
      const { index, nowMs } = world();
      const policy = { untagged: true, untaggedBeforeMs: nowMs };
      const manifests = digests.map((digest) => ({ repository: repo("a"), digest }));
      const removed = await index.removeManifests(manifests, { nowMs, policy });
      return removed.map(({ digest }) => digest);
    };

    test("INV-4: whatever names it goes in the same transaction, and first", async () => {
      const child = await world().image("a", { blobs: [1] });
      const parent = await world().put("a", { children: [child] });
      const top = await world().put("a", { children: [parent.digest, child] });
      const referrer = await world().put("a", { config: blobNo(1), subject: child });
      world().nowMs += 2 * hourMs;
      expect(await removeOnly(child)).toEqual([top.digest, parent.digest, child]);
      expect(await there(referrer.digest)).toBe(true);
    });

    test("INV-4: too many namers to remove at once: the named one waits for the last", async () => {
      const child = await world().image("a", { blobs: [1] });
      const parents: Digest[] = [];
      for (let n = 0; n < 230; n++) {
        parents.push((await world().put("a", { children: [child], more: { n } })).digest);
      }
      world().nowMs += 2 * hourMs;
      let gone = 0;
      for (let round = 0; gone < 231; round++) {
        const removed = await removeOnly(child);
        gone += removed.length;
        expect(removed.length).toBeGreaterThan(0);
        expect(removed.includes(child)).toBe(gone === 231);
        expect(await there(child)).toBe(gone < 231);
        expect(round).toBeLessThan(4);
      }
    });

    test("INV-4: a tower of indexes goes from the top", async () => {
      const tower: Digest[] = [await world().image("a", { blobs: [1] })];
      for (let n = 0; n < 230; n++) {
        tower.push((await world().put("a", { children: tower.slice(-1) })).digest);
      }
      world().nowMs += 2 * hourMs;
      // From its foot nothing is to be had: the top is too far away.
      expect(await removeOnly(...tower.slice(0, 1))).toEqual([]);
      expect(await removeOnly(...tower.slice(150, 151))).toEqual(tower.slice(150).toReversed());
      await run(true);
      expect(await world().index.totals()).toMatchObject({ manifests: 0, blobs: 0 });
    });

    test("time without a tag begins anew with each tag lost", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const removed = async (): Promise<number> => {
        const { nowMs } = world();
        const policy = { untagged: true, untaggedBeforeMs: nowMs - 10 * hourMs };
        const manifests = [{ repository: repo("a"), digest }];
        return (await index.removeManifests(manifests, { nowMs, policy })).length;
      };
      await index.deleteTag(repo("a"), tag("x"), world().nowMs);
      world().nowMs += 9 * hourMs;
      expect(await removed()).toBe(0);
      await world().put("a", { layers: [blobNo(1)], tags: ["y"] });
      await index.deleteTag(repo("a"), tag("y"), world().nowMs);
      world().nowMs += 9 * hourMs;
      expect(await removed()).toBe(0);
      world().nowMs += hourMs;
      expect(await removed()).toBe(1);
    });

    test("a repository that holds nothing vanishes, whatever it held last", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const upload = {
        id: "one",
        repository: repo("a"),
        owner: null,
        startedAtMs: 1,
        terms: world().terms(),
      };
      await index.beginUpload(upload);
      await index.deleteManifest(repo("a"), digest, world().nowMs);
      await run(false);
      expect(await index.listKnownRepositories({ after: null, limit: 9 })).toEqual([repo("a")]);
      await index.endUpload("one");
      expect(await index.emptyRepositories(9)).toEqual([repo("a")]);
      expect(await index.dropEmptyRepositories(9)).toEqual([repo("a")]);
      expect(await index.listTags(repo("a"), { after: null, limit: 9 })).toBeNull();
      expect(await index.dropEmptyRepositories(9)).toEqual([]);
    });
  });
}
