// Tags, the catalogue, referrers: what is listed, in which order, page by page.
import { describe, expect, test } from "bun:test";
import type { Digest, RepositoryName, Tag } from "../../../src/oci/index.ts";
import type { Page } from "../../../src/registry/ports/index.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, contentOf, repo, tag, tagNames } from "./world.ts";

/** All of a list, `limit` at a time. */
async function pages<Key extends string>(
  limit: number,
  list: (page: Page<Key>) => Promise<readonly Key[] | null>,
): Promise<Key[]> {
  const all: Key[] = [];
  for (let after: Key | null = null; ;) {
    const page: readonly Key[] = (await list({ after, limit })) ?? [];
    expect(page.length).toBeLessThanOrEqual(limit);
    all.push(...page);
    after = page.at(-1) ?? null;
    if (after === null) return all;
  }
}

export function namesContract(driver: IndexDriver): void {
  describe("tags", () => {
    const world = worldOf(driver);
    const names = [
      "v1",
      "V1",
      "latest",
      "_x",
      "0",
      "1.10",
      "1.9",
      "a-b",
      "a.b",
      "a_b",
      "z".repeat(128),
    ];

    test("are listed in byte order, page by page", async () => {
      const { index } = world();
      await world().image("a", { blobs: [1], tags: names });
      const inOrder = [...tagNames(names)].sort();
      for (const limit of [1, 2, 3, 100]) {
        expect(await pages(limit, (page) => index.listTags(repo("a"), page))).toEqual(inOrder);
      }
      // A page may begin after a tag that is not there.
      const after = "a" as Tag;
      expect(await index.listTags(repo("a"), { after, limit: 1 })).toEqual([tag("a-b")]);
      expect(await index.listTags(repo("a"), { after: null, limit: 0 })).toEqual([]);
    });

    test("of a repository that is not known: null; of one without tags: none", async () => {
      const { index } = world();
      expect(await index.listTags(repo("a"), { after: null, limit: 9 })).toBeNull();
      await world().image("a", { blobs: [1] });
      expect(await index.listTags(repo("a"), { after: null, limit: 9 })).toEqual([]);
      expect(await index.listTags(repo("a/b"), { after: null, limit: 9 })).toBeNull();
    });

    test("a tag that moves points to the new one only; the old one is there by digest", async () => {
      const { index } = world();
      const first = await world().image("a", { blobs: [1], tags: ["x"] });
      const second = await world().image("a", { blobs: [2], tags: ["x"] });
      expect(await index.findTag(repo("a"), tag("x"))).toMatchObject({ digest: second });
      expect(await index.findManifest(repo("a"), first)).toMatchObject({ digest: first });
      const { tags, tagHistory } = await index.repositoryFacts(repo("a"));
      expect([...tags]).toEqual([[tag("x"), second]]);
      expect([...(tagHistory.get(tag("x")) ?? [])].toSorted()).toEqual([first, second].toSorted());
    });

    test("the same tag in two repositories is two tags", async () => {
      const { index } = world();
      await world().image("a", { blobs: [1], tags: ["x"] });
      await world().image("b", { blobs: [2], tags: ["x"] });
      await index.deleteTag(repo("a"), tag("x"), world().nowMs);
      expect(await index.findTag(repo("a"), tag("x"))).toBeNull();
      expect(await index.findTag(repo("b"), tag("x"))).not.toBeNull();
    });
  });

  describe("the catalogue", () => {
    const world = worldOf(driver);
    const names = ["b", "a/b", "a", "a-b", "a.b", "a_b", "a/b/c", "0"];

    test("has the repositories that hold a manifest, in byte order, page by page", async () => {
      const { index } = world();
      for (const name of names) await world().image(name, { blobs: [1], tags: ["x"] });
      await world().upload("only-a-blob", 2);
      const upload = { id: "one", repository: repo("only-an-upload"), owner: null, startedAtMs: 0 };
      await index.beginUpload({ ...upload, terms: world().terms() });
      const inOrder = names.map(repo).sort();
      for (const limit of [1, 3, 100]) {
        expect(await pages(limit, (page) => index.listRepositories(page))).toEqual(inOrder);
      }
      const known = [...names, "only-a-blob", "only-an-upload"].map(repo).sort();
      expect(await pages<RepositoryName>(2, (page) => index.listKnownRepositories(page))).toEqual(
        known,
      );
      const after = "a/a" as RepositoryName;
      expect(await index.listRepositories({ after, limit: 1 })).toEqual([repo("a/b")]);
    });

    test("a repository without manifests is not in it any more, and back with the next one", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      await index.deleteManifest(repo("a"), digest, world().nowMs);
      expect(await index.listRepositories({ after: null, limit: 9 })).toEqual([]);
      await world().image("a", { blobs: [1], tags: ["x"] });
      expect(await index.listRepositories({ after: null, limit: 9 })).toEqual([repo("a")]);
    });
  });

  describe("referrers", () => {
    const world = worldOf(driver);
    const page = { after: null, limit: 99, artifactType: null };
    const refer = async (n: number, artifactType: string, subject: Digest): Promise<Digest> => {
      const more = { artifactType, annotations: { n: String(n) } };
      return (await world().put("a", { config: blobNo(1), layers: [blobNo(n)], subject, more }))
        .digest;
    };

    test("in digest order, page by page, of one type or of any", async () => {
      const { index } = world();
      const subject = await world().image("a", { blobs: [1, 2, 3, 4, 5], tags: ["x"] });
      const types = new Map<Digest, string>();
      for (const n of [1, 2, 3, 4, 5]) {
        const type = n % 2 === 0 ? "x/even" : "x/odd";
        types.set(await refer(n, type, subject), type);
      }
      const list = async (artifactType: string | null, limit: number): Promise<Digest[]> =>
        await pages<Digest>(limit, async (at) =>
          (await index.listReferrers(repo("a"), subject, { ...at, artifactType })).map(
            ({ digest }) => digest,
          ),
        );
      const all = [...types.keys()].sort();
      for (const limit of [1, 2, 99]) {
        expect(await list(null, limit)).toEqual(all);
        expect(await list("x/odd", limit)).toEqual(all.filter((d) => types.get(d) === "x/odd"));
        expect(await list("x/none", limit)).toEqual([]);
      }
    });

    test("say type, size and annotations", async () => {
      const { index } = world();
      await world().upload("a", 1);
      await world().upload("a", 2);
      const digest = await refer(2, "x/y", blobNo(9));
      const [referrer] = await index.listReferrers(repo("a"), blobNo(9), page);
      expect(referrer).toMatchObject({ digest, artifactType: "x/y", annotations: { n: "2" } });
      expect(referrer).toMatchObject({
        ...(await index.findManifest(repo("a"), digest)),
      });
    });

    test("may come before their subject, and outlive it; they are of their repository only", async () => {
      const { index, nowMs } = world();
      const spec = { config: blobNo(1) };
      const subject = contentOf(spec).digest;
      await world().upload("a", 1);
      await world().upload("a", 2);
      const digest = await refer(2, "x/y", subject);
      const found = async (): Promise<number> =>
        (await index.listReferrers(repo("a"), subject, page)).length;
      expect(await found()).toBe(1);
      await world().put("a", { ...spec, tags: ["x"] });
      expect(await found()).toBe(1);
      await index.deleteManifest(repo("a"), subject, nowMs);
      expect(await found()).toBe(1);
      expect(await index.listReferrers(repo("b"), subject, page)).toEqual([]);
      await index.deleteManifest(repo("a"), digest, nowMs);
      expect(await found()).toBe(0);
    });

    test("of what nobody has heard of: none", async () => {
      expect(await world().index.listReferrers(repo("a"), blobNo(1), page)).toEqual([]);
    });
  });
}
