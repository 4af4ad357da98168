// Uploads, mounts, and the acceptance of manifests (INV-4).
import { describe, expect, test } from "bun:test";
import type { IndexDriver } from "./fixture.ts";
import type { Digest } from "../../../src/oci/index.ts";
import { worldOf } from "./harness.ts";
import { blobNo, hourMs, redoText, repo, short, tag, tagNames } from "./world.ts";

export function uploadContract(driver: IndexDriver): void {
  describe("uploads", () => {
    const world = worldOf(driver);

    test("a session is found in its repository with its owner, until it ends", async () => {
      const { index, nowMs } = world();
      const upload = { id: "one", repository: repo("a"), owner: "alice", startedAtMs: nowMs };
      await index.beginUpload({ ...upload, terms: world().terms() });
      expect(await index.findUpload(repo("a"), "one")).toEqual(upload);
      expect(await index.findUpload(repo("b"), "one")).toBeNull();
      expect(await index.findUpload(repo("a"), "two")).toBeNull();
      await index.endUpload("one");
      expect(await index.findUpload(repo("a"), "one")).toBeNull();
      await index.endUpload("one");
      await index.endUpload("never begun");
    });

    test("a session that begins under a known id is refused, and the first stays", async () => {
      const { index, nowMs } = world();
      const upload = { id: "one", repository: repo("a"), owner: null, startedAtMs: nowMs };
      await index.beginUpload({ ...upload, terms: world().terms() });
      const again = { ...upload, repository: repo("b"), terms: world().terms() };
      expect(index.beginUpload(again)).rejects.toThrow();
      expect(await index.findUpload(repo("a"), "one")).toEqual(upload);
      expect(await index.findUpload(repo("b"), "one")).toBeNull();
    });

    test("a repository has no more sessions than it may have, whoever was first", async () => {
      const { index, nowMs } = world();
      const begin = (id: string, name: string, sessionsMax: number | null): Promise<boolean> => {
        const upload = { id, repository: repo(name), owner: null, startedAtMs: nowMs };
        return index.beginUpload({ ...upload, terms: world().terms(), sessionsMax });
      };
      const at = (id: string): Promise<unknown> => index.findUpload(repo("a"), id);
      const together = ["1", "2", "3", "4"].map((id) => begin(id, "a", 3));
      expect(await Promise.all(together)).toEqual([true, true, true, false]);
      expect(await at("4")).toBeNull();
      expect(await begin("5", "b", 1)).toBe(true);
      expect(await begin("6", "a", 2)).toBe(false);
      expect(await begin("7", "a", null)).toBe(true);
      // The room that one leaves is taken once.
      const ended = index.endUpload("7").then(() => index.endUpload("1"));
      await ended;
      expect(await Promise.all([begin("8", "a", 3), begin("9", "a", 3)])).toEqual([true, false]);
      expect(await at("9")).toBeNull();
    });

    test("idle sessions come oldest first; touching keeps one", async () => {
      const { index } = world();
      for (const id of ["c", "a", "b"]) {
        world().nowMs += 10;
        const upload = { id, repository: repo("r"), owner: null, startedAtMs: world().nowMs };
        await index.beginUpload({ ...upload, terms: world().terms() });
      }
      const idle = async (beforeMs: number, limit = 10): Promise<string[]> =>
        (await index.listIdleUploads(beforeMs, limit)).map(({ id }) => id);
      const last = world().nowMs;
      expect(await idle(last)).toEqual(["c", "a"]);
      expect(await idle(last + 1)).toEqual(["c", "a", "b"]);
      expect(await idle(last + 1, 1)).toEqual(["c"]);
      world().nowMs += 10;
      await index.touchUpload({ id: "c", repository: repo("r"), terms: world().terms() });
      expect(await idle(world().nowMs)).toEqual(["a", "b"]);
      expect(await index.listIdleUploads(world().nowMs, 1)).toEqual([
        { id: "a", repository: repo("r"), owner: null, startedAtMs: last - 10 },
      ]);
    });

    test("an upload expires only if nothing has touched it since", async () => {
      const { index, nowMs } = world();
      const upload = { id: "one", repository: repo("a"), owner: null, startedAtMs: nowMs };
      await index.beginUpload({ ...upload, terms: world().terms() });
      expect(await index.expireUpload("one", nowMs)).toBe(false);
      expect(await index.findUpload(repo("a"), "one")).not.toBeNull();
      expect(await index.expireUpload("one", nowMs + 1)).toBe(true);
      expect(await index.findUpload(repo("a"), "one")).toBeNull();
      expect(await index.expireUpload("one", nowMs + 1)).toBe(false);
    });

    test("its end: the blob is there, in that repository, and the session is over", async () => {
      const { index, nowMs } = world();
      const terms = world().terms();
      await index.beginUpload({
        id: "one",
        repository: repo("a"),
        owner: null,
        startedAtMs: nowMs,
        terms,
      });
      const digest = blobNo(5);
      const finished = { id: "one", repository: repo("a"), digest, sizeBytes: 5, terms };
      await index.finishUpload(finished);
      const fact = { digest, sizeBytes: 5 };
      expect(await index.findBlob(repo("a"), digest)).toEqual(fact);
      expect(await index.findBlob(repo("b"), digest)).toBeNull();
      expect(await index.findBlobAnywhere(digest)).toEqual(fact);
      expect(await index.findUpload(repo("a"), "one")).toBeNull();
      expect(await world().owed()).toEqual([`layer a ${short(digest)}: ${short(digest)}`]);
      // Idempotent: a client may send its last request twice.
      await index.finishUpload(finished);
      expect(await index.findBlob(repo("a"), digest)).toEqual(fact);
      expect(await world().owed()).toEqual([]);
      expect((await index.totals()).blobs).toBe(1);
    });

    test("the sizes of many blobs in one look-up; those without bytes are left out", async () => {
      const { index } = world();
      await world().upload("a", 3);
      await world().upload("b", 4);
      await world().put("a", { config: blobNo(3), subject: blobNo(9), tags: ["x"] });
      const sizes = await index.findSizes([blobNo(3), blobNo(4), blobNo(8), blobNo(9)]);
      expect([...sizes]).toEqual([
        [blobNo(3), 3],
        [blobNo(4), 4],
      ]);
      expect(await index.findSizes([])).toEqual(new Map());
    });
  });
}

export function mountContract(driver: IndexDriver): void {
  describe("mounts", () => {
    const world = worldOf(driver);
    const mount = (from: string | null, to: string, n: number): Promise<unknown> =>
      world().index.mountBlob({
        digest: blobNo(n),
        from: from === null ? null : repo(from),
        to: repo(to),
        terms: world().terms(),
      });

    test("from the repository that holds it, and from wherever it is", async () => {
      const { index } = world();
      await world().upload("a", 3);
      await world().owed();
      const fact = { digest: blobNo(3), sizeBytes: 3 };
      expect(await mount("a", "b", 3)).toEqual(fact);
      expect(await mount(null, "c", 3)).toEqual(fact);
      for (const name of ["a", "b", "c"]) {
        expect(await index.findBlob(repo(name), blobNo(3))).toEqual(fact);
      }
      const link = short(blobNo(3));
      expect(await world().owed()).toEqual([
        `layer b ${link}: ${link}`,
        `layer c ${link}: ${link}`,
      ]);
      // Again: nothing changes in the tree.
      expect(await mount("a", "b", 3)).toEqual(fact);
      expect(await world().owed()).toEqual([]);
    });

    test("not from where it is not, and no repository comes of that", async () => {
      const { index } = world();
      await world().upload("a", 3);
      expect(await mount("b", "c", 3)).toBeNull();
      expect(await mount("a", "c", 4)).toBeNull();
      expect(await mount(null, "c", 4)).toBeNull();
      expect(await index.listKnownRepositories({ after: null, limit: 9 })).toEqual([repo("a")]);
    });

    test("a manifest of the repository is a blob of it too", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const mounted = { digest, from: repo("a"), to: repo("b"), terms: world().terms() };
      expect(await index.mountBlob(mounted)).not.toBeNull();
      expect(await index.findBlob(repo("b"), digest)).not.toBeNull();
      expect(await index.findManifest(repo("b"), digest)).toBeNull();
    });

    test("INV-9: not what has lost its bytes, though it is linked", async () => {
      const { index, nowMs } = world();
      await world().upload("a", 3);
      const gone = { kind: "blob", digest: blobNo(3), sizeBytes: null, modifiedMs: 0 } as const;
      await index.absorb([gone], { nowMs, recheck: true });
      expect(await mount("a", "b", 3)).toBeNull();
      expect(await mount(null, "b", 3)).toBeNull();
    });

    test("INV-6: not what is condemned", async () => {
      const { index } = world();
      await world().upload("a", 3);
      world().nowMs += 2 * hourMs;
      const options = { nowMs: world().nowMs, foreignGraceMs: 0 };
      await index.condemn([{ repository: null, digest: blobNo(3) }], options);
      expect(await mount("a", "b", 3)).toBeNull();
      expect(await mount(null, "b", 3)).toBeNull();
    });
  });
}

export function acceptContract(driver: IndexDriver): void {
  describe("accepting manifests (INV-4)", () => {
    const world = worldOf(driver);

    test("the manifest is there by digest and by its tags, in that repository", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1, 2], tags: ["v1", "latest"] });
      const fact = await index.findManifest(repo("a"), digest);
      expect(fact).toMatchObject({
        digest,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
      });
      expect(fact?.sizeBytes).toBeGreaterThan(100);
      expect(await index.findTag(repo("a"), tag("v1"))).toEqual(fact);
      expect(await index.findTag(repo("a"), tag("latest"))).toEqual(fact);
      expect(await index.findTag(repo("a"), tag("v2"))).toBeNull();
      expect(await index.findManifest(repo("b"), digest)).toBeNull();
      expect(await index.findTag(repo("b"), tag("v1"))).toBeNull();
      // Its bytes are a blob too.
      const blob = { digest, sizeBytes: fact?.sizeBytes ?? 0 };
      expect(await index.findBlob(repo("a"), digest)).toEqual(blob);
      expect(await index.findBlobAnywhere(digest)).toEqual(blob);
      expect((await index.namedByManifest(digest)).toSorted()).toEqual(
        [blobNo(1), blobNo(2)].toSorted(),
      );
    });

    test("what is missing is named, all of it, and nothing has changed", async () => {
      const { index } = world();
      await world().upload("elsewhere", 2);
      await world().upload("a", 3);
      await world().owed();
      const before = await index.totals();
      const layers = [blobNo(2), blobNo(3), blobNo(4)];
      const { digest, outcome } = await world().put("a", {
        layers,
        config: blobNo(3),
        tags: ["x"],
      });
      expect(outcome).toEqual({ accepted: false, missing: [blobNo(2), blobNo(4)] });
      expect(await index.findManifest(repo("a"), digest)).toBeNull();
      expect(await index.findBlobAnywhere(digest)).toBeNull();
      expect(await index.listTags(repo("a"), { after: null, limit: 9 })).toEqual([]);
      expect(await index.totals()).toEqual(before);
      expect(await world().owed()).toEqual([]);
      // Nor does a repository come of it.
      await world().put("new", { config: blobNo(3), tags: ["x"] });
      expect(await index.listTags(repo("new"), { after: null, limit: 9 })).toBeNull();
    });

    test("what is condemned is missing, until it is uploaded again", async () => {
      const { index } = world();
      await world().upload("a", 1);
      world().nowMs += 2 * hourMs;
      const options = { nowMs: world().nowMs, foreignGraceMs: 0 };
      await index.condemn([{ repository: repo("a"), digest: blobNo(1) }], options);
      const push = { config: blobNo(1), tags: ["x"] };
      expect((await world().put("a", push)).outcome).toEqual({
        accepted: false,
        missing: [blobNo(1)],
      });
      await world().upload("a", 1);
      expect((await world().put("a", push)).outcome).toEqual({ accepted: true });
    });

    test("no more levels of indexes than there may be, by the longest way down", async () => {
      const image = await world().image("a", { blobs: [1], tags: ["image"] });
      const push = (children: readonly Digest[], indexLevelsMax: number) => {
        return world().put("a", { children, indexLevelsMax, more: { of: children } });
      };
      const levels = [image];
      for (let n = 1; n <= 3; n++) {
        // Each names all below it, too: the shortest way is always one.
        const { digest, outcome } = await push(levels, 3);
        expect(outcome).toEqual({ accepted: true });
        levels.push(digest);
      }
      const before = await world().index.totals();
      const refused = await push(levels, 3);
      expect(refused.outcome).toEqual({ accepted: false, missing: [], isTooDeep: true });
      expect(await world().index.findManifest(repo("a"), refused.digest)).toBeNull();
      expect(await world().index.totals()).toEqual(before);
      expect((await push(levels, 4)).outcome).toEqual({ accepted: true });
      // Of images as many as one likes, and an image is no index.
      expect((await push([image], 1)).outcome).toEqual({ accepted: true });
      expect((await push([image, levels[1] ?? image], 1)).outcome).toMatchObject({
        isTooDeep: true,
      });
      const plain = { layers: [blobNo(1)], indexLevelsMax: 1, tags: ["plain"] };
      expect((await world().put("a", plain)).outcome).toEqual({ accepted: true });
    });

    test("a child is a manifest of the repository, or a blob of it", async () => {
      const child = await world().image("a", { blobs: [1], tags: ["child"] });
      expect((await world().put("a", { children: [child], tags: ["x"] })).outcome.accepted).toBe(
        true,
      );
      const elsewhere = await world().put("b", { children: [child], tags: ["x"] });
      expect(elsewhere.outcome).toEqual({ accepted: false, missing: [child] });
      await world().upload("b", 7);
      const asBlob = await world().put("b", { children: [blobNo(7)], tags: ["x"] });
      expect(asBlob.outcome.accepted).toBe(true);
    });

    test("only what is required is: neither subject nor foreign layers need be there", async () => {
      await world().upload("a", 1);
      const foreign = {
        mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar",
        digest: blobNo(8),
        size: 8,
        urls: ["https://example.com/8"],
      };
      const push = { config: blobNo(1), subject: blobNo(9), more: { layers: [foreign] } };
      expect((await world().put("a", { ...push, tags: ["x"] })).outcome).toEqual({
        accepted: true,
      });
    });

    test("10,000 references are taken, and each is held", async () => {
      const { index } = world();
      const numbers = Array.from({ length: 9_999 }, (_, n) => n + 2);
      await world().upload("a", 1);
      await index.absorb(
        numbers.flatMap((n) => [
          { kind: "blob", digest: blobNo(n), sizeBytes: n, modifiedMs: 0 } as const,
          { kind: "layer", repository: repo("a"), digest: blobNo(n), there: true } as const,
        ]),
        { nowMs: world().nowMs, recheck: false },
      );
      const push = { config: blobNo(1), layers: numbers.map(blobNo), tags: ["x"] };
      expect((await world().put("a", push)).outcome).toEqual({ accepted: true });
      expect((await world().blob("a", blobNo(5_000))).neededHere).toBe(true);
      expect(
        await index.namedByManifest(
          (await index.findTag(repo("a"), tag("x")))?.digest ?? blobNo(0),
        ),
      ).toHaveLength(10_000);
    });

    test("a manifest that is there already is accepted again", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      await world().owed();
      const before = await index.totals();
      await world().put("a", { layers: [blobNo(1)], tags: ["x"] });
      expect(await index.totals()).toEqual(before);
      expect(await world().owed()).toEqual([]);
      await world().put("a", { layers: [blobNo(1)], tags: ["y"] });
      expect(await index.findTag(repo("a"), tag("y"))).toMatchObject({ digest });
      expect(await index.listTags(repo("a"), { after: null, limit: 9 })).toEqual(
        tagNames(["x", "y"]),
      );
    });

    test("INV-9: bytes that are gone are missing, and a push heals them", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const gone = [digest, blobNo(1)].map(
        (lost) => ({ kind: "blob", digest: lost, sizeBytes: null, modifiedMs: 0 }) as const,
      );
      expect(await index.absorb(gone, { nowMs: world().nowMs, recheck: true })).toBe(2);
      expect(await index.findTag(repo("a"), tag("x"))).toBeNull();
      expect(await index.findManifest(repo("a"), digest)).toBeNull();
      expect(await index.findBlob(repo("a"), blobNo(1))).toBeNull();
      const again = { layers: [blobNo(1)], tags: ["x"] };
      expect((await world().put("a", again)).outcome).toMatchObject({ missing: [blobNo(1)] });
      await world().upload("a", 1);
      expect((await world().put("a", again)).outcome).toEqual({ accepted: true });
      expect(await index.findTag(repo("a"), tag("x"))).toMatchObject({ digest });
    });

    test("texts of any kind come back as they were", async () => {
      const { index } = world();
      await world().upload("a", 1);
      const annotations = {
        "": "",
        __proto_: "x",
        "a\0b": "\u0000",
        ü: "\ud83d\ude00",
        q: "'\"\\",
      };
      const more = { artifactType: "x/y\u0000z", annotations };
      const { digest } = await world().put("a", { config: blobNo(1), subject: blobNo(2), more });
      const page = { after: null, limit: 9, artifactType: more.artifactType };
      expect(await index.listReferrers(repo("a"), blobNo(2), page)).toEqual([
        {
          digest,
          sizeBytes: expect.any(Number) as number,
          mediaType: "application/vnd.oci.image.manifest.v1+json",
          artifactType: more.artifactType,
          annotations,
        },
      ]);
    });

    test("what the tree owes: links of what is new, the tag, and its history", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const [image, blob] = [short(digest), short(blobNo(1))];
      expect(await world().owed()).toEqual([
        `layer a ${blob}: ${blob}`,
        `revision a ${image}: ${image}`,
        `tag a x: ${image}`,
        `tag-history a x ${image}: ${image}`,
      ]);
      const moved = short(await world().image("a", { blobs: [1, 2], tags: ["x"] }));
      const second = short(blobNo(2));
      expect(await world().owed()).toEqual([
        `layer a ${second}: ${second}`,
        `revision a ${moved}: ${moved}`,
        `tag a x: ${moved}`,
        `tag-history a x ${moved}: ${moved}`,
      ]);
      // Back again: the history has it already.
      await world().image("a", { blobs: [1], tags: ["x"] });
      expect(await world().owed()).toEqual([`tag a x: ${image}`]);
      expect((await world().index.pendingRedo(9)).map(redoText)).toEqual([]);
    });
  });
}
