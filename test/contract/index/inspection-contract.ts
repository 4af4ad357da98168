// What the index tells of repositories, tags, images and who else holds a blob.
import { describe, expect, test } from "bun:test";
import type { ListedTag, TagPage, TagPosition } from "../../../src/registry/ports/index.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, contentOf, repo, tag } from "./world.ts";

export function inspectionContract(driver: IndexDriver): void {
  describe("what is shown of repositories", () => {
    const world = worldOf(driver);

    test("in pages by name, with the time of the newest tag; none without a manifest", async () => {
      const { index } = world();
      for (const name of ["b", "a/b", "c"]) {
        world().nowMs += 1_000;
        await world().image(name, { blobs: [1], tags: name === "c" ? [] : ["x"] });
      }
      await world().upload("d", 1);
      const { nowMs } = world();
      // The same image three times.
      const logicalBytes = contentOf({ layers: [blobNo(1)] }).bytes.length + 1;
      const held = { manifests: 1, logicalBytes, exclusiveBytes: 0 };
      expect(await index.describeRepositories({ after: null, limit: 2 })).toEqual([
        { name: repo("a/b"), ...held, tags: 1, newestTagMs: nowMs - 1_000 },
        { name: repo("b"), ...held, tags: 1, newestTagMs: nowMs - 2_000 },
      ]);
      expect(await index.describeRepositories({ after: "b", limit: 2 })).toEqual([
        { name: repo("c"), ...held, tags: 0, newestTagMs: null },
      ]);
      expect(await index.describeRepository(repo("d"))).toEqual({
        name: repo("d"),
        manifests: 0,
        tags: 0,
        logicalBytes: 0,
        exclusiveBytes: 0,
        newestTagMs: null,
      });
      expect(await index.describeRepository(repo("e"))).toBeNull();
    });
  });

  describe("what is shown of tags", () => {
    const world = worldOf(driver);
    const pageOf = (more: Partial<TagPage>) =>
      world().index.describeTags(repo("a"), {
        sort: "name",
        descending: false,
        after: null,
        limit: 2,
        ...more,
      });
    /** All of them, two by two. */
    const all = async (sort: TagPage["sort"], descending: boolean): Promise<string> => {
      const names: string[] = [];
      let after: TagPosition | null = null;
      for (;;) {
        const page: readonly ListedTag[] = (await pageOf({ sort, descending, after })) ?? [];
        names.push(...page.map((entry) => entry.tag));
        after = page.at(-1) ?? null;
        if (page.length < 2) return names.join(" ");
      }
    };
    const push = async (names: readonly string[]): Promise<void> => {
      await world().image("a", {
        blobs: [1],
        more: { annotations: { of: names[0] } },
        tags: names,
      });
      world().nowMs += 1_000;
    };

    test("by name and by time, both ways, in pages that leave none out; the same push again moves nothing", async () => {
      for (const names of [["c", "a"], ["b"], ["e", "d"]]) await push(names);
      expect(await all("name", false)).toBe("a b c d e");
      expect(await all("name", true)).toBe("e d c b a");
      expect(await all("pushed", false)).toBe("a c b d e");
      expect(await all("pushed", true)).toBe("e d b c a");
      await push(["b"]);
      expect(await all("pushed", true)).toBe("e d b c a");
      await world().image("a", { blobs: [2], tags: ["b"] });
      expect(await all("pushed", true)).toBe("b e d c a");
    });

    test("a page goes on where its position is, though that tag has gone meanwhile", async () => {
      for (const names of [["a"], ["b"], ["c"], ["d"]]) await push(names);
      const [, second] = (await pageOf({ sort: "pushed", descending: true })) ?? [];
      await world().index.deleteTag(repo("a"), tag("c"), world().nowMs);
      const after = second ?? null;
      const rest = await pageOf({ sort: "pushed", descending: true, after });
      expect(rest?.map((entry) => entry.tag as string)).toEqual(["b", "a"]);
    });

    test("with digest, size and type, which are unknown where the bytes are gone", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const pushedAtMs = world().nowMs;
      const { bytes, manifest } = contentOf({ layers: [blobNo(1)] });
      const entry = { tag: tag("x"), digest, pushedAtMs };
      expect(await pageOf({})).toEqual([
        {
          ...entry,
          sizeBytes: bytes.length,
          mediaType: manifest.mediaType,
          imageBytes: bytes.length + 1,
          pulledAtMs: null,
        },
      ]);
      await world().index.loseBytes(digest);
      const unknown = { sizeBytes: null, mediaType: null, imageBytes: null, pulledAtMs: null };
      expect(await pageOf({})).toEqual([{ ...entry, ...unknown }]);
      expect(await world().index.describeTags(repo("z"), { ...oldest, limit: 9 })).toBeNull();
    });

    test("an index with what its children amount to; when it was pulled", async () => {
      const { index, nowMs } = world();
      const child = await world().image("a", { blobs: [10, 20] });
      const other = await world().image("a", { blobs: [20, 30] });
      const { digest, bytes } = await world().put("a", { children: [child, other], tags: ["x"] });
      const own = (blobs: readonly number[]): number =>
        contentOf({ layers: blobs.map(blobNo) }).bytes.length;
      await index.markComplete();
      const pull = { repository: repo("a"), digest, pulledAtMs: nowMs };
      await index.recordPulls([pull], { after: null, limit: 9 });
      expect(await pageOf({})).toMatchObject([
        {
          imageBytes: bytes.length + own([10, 20]) + own([20, 30]) + 10 + 20 + 20 + 30,
          pulledAtMs: nowMs,
        },
      ]);
    });

    const oldest = { sort: "pushed", descending: false, after: null } as const;
  });

  describe("what is shown of an image", () => {
    const world = worldOf(driver);

    test("when it came, its tags, and no more of them than were asked for", async () => {
      const { index, nowMs } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["c", "b", "a"] });
      expect(await index.describeImage(repo("a"), digest, 2)).toMatchObject({
        pushedAtMs: nowMs,
        tags: [tag("a"), tag("b")],
      });
      expect(await index.describeImage(repo("b"), digest, 2)).toBeNull();
    });

    test("of children, what is there and what it amounts to", async () => {
      const { index } = world();
      const child = await world().image("a", { blobs: [1, 2, 3] });
      await world().image("b", { blobs: [4] });
      const elsewhere = contentOf({ layers: [blobNo(4)] }).digest;
      expect(await index.describeChildren(repo("a"), [elsewhere, child, blobNo(1)])).toEqual([
        { digest: elsewhere, isPresent: false, contentBytes: null },
        { digest: child, isPresent: true, contentBytes: 6 },
        { digest: blobNo(1), isPresent: false, contentBytes: null },
      ]);
    });

    test("of a blob, who else holds it", async () => {
      const { index } = world();
      for (const name of ["c", "b", "a"]) await world().image(name, { blobs: [1], tags: ["x"] });
      expect(await index.blobUsers(blobNo(1), repo("b"), 9)).toEqual({
        repositories: [repo("c"), repo("a")],
        count: 2,
        atLeast: false,
      });
      expect((await index.blobUsers(blobNo(1), repo("b"), 1)).repositories).toEqual([repo("c")]);
      expect((await index.blobUsers(blobNo(9), repo("b"), 9)).count).toBe(0);
      expect((await index.blobUsers(blobNo(1), repo("z"), 9)).count).toBe(3);
    });
  });
}
