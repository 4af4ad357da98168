// Retention: tags as rules judge them, and their removal, decided again inside the transaction.
import { describe, expect, test } from "bun:test";
import type { Digest } from "../../../src/oci/index.ts";
import type {
  Deletion,
  RetiredImage,
  RetireOutcome,
  TagFact,
} from "../../../src/registry/ports/index.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, hourMs, repo, tag, tagNames, type World } from "./world.ts";

const dayMs = 24 * hourMs;

function deletionOf({ nowMs }: World, immutable: Deletion["immutable"] = []): Deletion {
  const reason = "retention rule r";
  return { nowMs, deletedBy: "retention", reason, isRestorable: true, immutable };
}

async function tagsIn(world: World, repository = "a"): Promise<readonly TagFact[]> {
  return await world.index.retentionTags(repo(repository), { after: null, limit: 100 });
}

/** As a rule would that lets these tags go, judging now. */
async function judged(world: World, ...names: string[]): Promise<RetiredImage[]> {
  const facts = (await tagsIn(world)).filter((fact) => names.includes(fact.tag));
  return [...Map.groupBy(facts, ({ digest }) => digest)].map(([digest, ofImage]) => ({
    digest,
    imagePushedAtMs: ofImage[0]?.imagePushedAtMs ?? null,
    pulledAtMs: ofImage[0]?.pulledAtMs ?? null,
    tags: ofImage.map(({ tag: name, pushedAtMs }) => ({ tag: name, pushedAtMs })),
  }));
}

async function retire(
  world: World,
  images: readonly RetiredImage[],
  witnesses: readonly string[] = [],
): Promise<RetireOutcome> {
  return await world.index.retireImages({
    repository: repo("a"),
    images,
    witnesses: tagNames(witnesses),
    deletion: deletionOf(world),
  });
}

async function left(world: World): Promise<string[]> {
  return (await tagsIn(world)).map((fact) => String(fact.tag));
}

async function isThere(world: World, digest: Digest): Promise<boolean> {
  return (await world.index.findManifest(repo("a"), digest)) !== null;
}

const removed: Partial<RetireOutcome> = { standing: "fits", results: ["removed"] };
const changed: Partial<RetireOutcome> = {
  standing: "fits",
  results: ["changed"],
  tags: 0,
  manifests: 0,
};

export function retentionContract(driver: IndexDriver): void {
  describe("tags as a rule judges them", () => {
    const world = worldOf(driver);

    test("come in byte order, page by page, with the times of pushes and pulls", async () => {
      const { index } = world();
      const first = await world().image("a", { blobs: [1], tags: ["b", "B"] });
      const pushedAtMs = world().nowMs;
      world().nowMs += dayMs;
      await world().image("a", { blobs: [2], tags: ["c"] });
      await world().image("a", { blobs: [1], tags: ["b"] });
      const pulledAtMs = world().nowMs;
      await index.recordPulls([{ repository: repo("a"), digest: first, pulledAtMs }], {
        after: null,
        limit: 9,
      });
      // The same image pushed again moves no tag.
      const times = { pushedAtMs, imagePushedAtMs: world().nowMs, pulledAtMs };
      expect(await index.retentionTags(repo("a"), { after: null, limit: 2 })).toEqual([
        { tag: tag("B"), digest: first, ...times },
        { tag: tag("b"), digest: first, ...times },
      ]);
      const [last, ...none] = await index.retentionTags(repo("a"), { after: "b", limit: 2 });
      expect(last).toMatchObject({ tag: tag("c"), pushedAtMs: world().nowMs, pulledAtMs: null });
      expect(none).toEqual([]);
      expect(await index.retentionTags(repo("none"), { after: null, limit: 2 })).toEqual([]);
    });

    test("INV-7: a repository with something unreadable is not judged, nor an unknown one", async () => {
      const { index, nowMs } = world();
      await world().image("a", { blobs: [1], tags: ["x"] });
      expect(await index.isJudgeable(repo("a"))).toBe(true);
      expect(await index.isJudgeable(repo("b"))).toBe(false);
      const images = await judged(world(), "x");
      const bent = { repository: repo("a"), digest: blobNo(7), manifest: null, sizeBytes: 7 };
      await index.absorb([{ kind: "revision", ...bent, there: true }], { nowMs, recheck: false });
      expect(await index.isJudgeable(repo("a"))).toBe(false);
      expect(await retire(world(), images)).toMatchObject({ standing: "unjudgeable", results: [] });
      expect(await left(world())).toEqual(["x"]);
    });
  });

  describe("retiring tags", () => {
    const world = worldOf(driver);

    test("takes the image with its last tag, restorably, and says who and why", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x", "y"] });
      await world().image("a", { blobs: [2], tags: ["z"] });
      const outcome = await retire(world(), await judged(world(), "x", "y"));
      expect(outcome).toEqual({
        standing: "fits",
        results: ["removed"],
        tags: 2,
        manifests: 1,
        departed: { tags: [], manifests: [digest] },
      });
      expect(await left(world())).toEqual(["z"]);
      expect(await isThere(world(), digest)).toBe(false);
      const [entry] = await index.listDeletions({ after: null, limit: 9 });
      expect(entry).toMatchObject({
        digest,
        what: "image",
        tags: tagNames(["x", "y"]),
        deletedBy: "retention",
        reason: "retention rule r",
      });
    });

    test("takes the tag alone while another one names the image: judged so, or pushed since", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x", "y"] });
      const images = await judged(world(), "x");
      expect((await retire(world(), images)).results).toEqual(["untagged"]);
      const more = await judged(world(), "y");
      const [{ imagePushedAtMs } = { imagePushedAtMs: 0 }] = more;
      await world().put("a", { layers: [blobNo(1)], tags: ["new"] });
      // At the very same time, so that the tag alone tells.
      expect(world().nowMs).toBe(imagePushedAtMs ?? 0);
      expect((await retire(world(), more)).results).toEqual(["untagged"]);
      expect(await left(world())).toEqual(["new"]);
      expect(await isThere(world(), digest)).toBe(true);
    });

    for (const first of ["the removal", "the push"]) {
      test(`and a push that moves the tag, ${first} first`, async () => {
        const old = await world().image("a", { blobs: [1], tags: ["x"] });
        const images = await judged(world(), "x");
        world().nowMs += 1;
        if (first === "the removal") expect(await retire(world(), images)).toMatchObject(removed);
        const young = await world().image("a", { blobs: [2], tags: ["x"] });
        if (first === "the push") expect(await retire(world(), images)).toMatchObject(changed);
        expect((await world().index.findTag(repo("a"), tag("x")))?.digest).toBe(young);
        expect(await isThere(world(), old)).toBe(first === "the push");
      });

      test(`and the same image pushed again, ${first} first`, async () => {
        const digest = await world().image("a", { blobs: [1], tags: ["x"] });
        const images = await judged(world(), "x");
        world().nowMs += 1;
        if (first === "the removal") expect(await retire(world(), images)).toMatchObject(removed);
        await world().image("a", { blobs: [1], tags: ["x"] });
        if (first === "the push") expect(await retire(world(), images)).toMatchObject(changed);
        expect((await world().index.findTag(repo("a"), tag("x")))?.digest).toBe(digest);
      });
    }

    for (const first of ["the removal", "the pull"]) {
      test(`and a pull, ${first} first`, async () => {
        const digest = await world().image("a", { blobs: [1], tags: ["x"] });
        const images = await judged(world(), "x");
        const pull = { repository: repo("a"), digest, pulledAtMs: world().nowMs };
        if (first === "the removal") expect(await retire(world(), images)).toMatchObject(removed);
        await world().index.recordPulls([pull], { after: null, limit: 0 });
        if (first === "the pull") expect(await retire(world(), images)).toMatchObject(changed);
        expect(await isThere(world(), digest)).toBe(first === "the pull");
      });
    }

    for (const first of ["the removal", "the deletion"]) {
      test(`and a deletion of what the judgement stands on, ${first} first`, async () => {
        const old = await world().image("a", { blobs: [1], tags: ["old"] });
        await world().image("a", { blobs: [2], tags: ["newest"] });
        const images = await judged(world(), "old");
        const { index, nowMs } = world();
        const stands = async (): Promise<RetireOutcome> =>
          await retire(world(), images, ["newest"]);
        if (first === "the removal") expect(await stands()).toMatchObject(removed);
        await index.deleteTag(repo("a"), tag("newest"), nowMs);
        if (first === "the deletion") {
          expect(await stands()).toMatchObject({ standing: "changed", results: [], tags: 0 });
        }
        expect(await isThere(world(), old)).toBe(first === "the deletion");
      });

      test(`and a deletion of the tag itself, ${first} first`, async () => {
        const digest = await world().image("a", { blobs: [1], tags: ["x"] });
        const images = await judged(world(), "x");
        const { index, nowMs } = world();
        if (first === "the removal") expect(await retire(world(), images)).toMatchObject(removed);
        const outcome = await index.deleteTag(repo("a"), tag("x"), nowMs);
        expect(outcome).toBe(first === "the deletion" ? "deleted" : "unknown");
        if (first === "the deletion") expect(await retire(world(), images)).toMatchObject(changed);
        expect(await isThere(world(), digest)).toBe(first === "the deletion");
      });
    }

    test("leaves an image that a lease is on, and takes it when that is over", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      await world().index.findAndLeaseManifest(repo("a"), digest, world().terms());
      const images = await judged(world(), "x");
      expect(await retire(world(), images)).toMatchObject({ results: ["leased"], tags: 0 });
      expect(await left(world())).toEqual(["x"]);
      world().nowMs += world().graceMs;
      expect(await retire(world(), images)).toMatchObject(removed);
    });

    test("of an index takes its children, but for one that has a tag of its own", async () => {
      const child = await world().image("a", { blobs: [1] });
      const tagged = await world().image("a", { blobs: [2], tags: ["amd64"] });
      const parent = await world().put("a", { children: [child, tagged], tags: ["x"] });
      world().nowMs += 2 * hourMs;
      const outcome = await retire(world(), await judged(world(), "x"));
      expect(outcome).toMatchObject({ ...removed, tags: 1, manifests: 2 });
      expect(await isThere(world(), parent.digest)).toBe(false);
      expect(await isThere(world(), child)).toBe(false);
      expect(await left(world())).toEqual(["amd64"]);
    });

    for (const first of ["the child", "the index"]) {
      test(`of an index and its child, ${first} first, takes both`, async () => {
        const child = await world().image("a", { blobs: [1], tags: ["amd64"] });
        const { digest } = await world().put("a", { children: [child], tags: ["x"] });
        world().nowMs += 2 * hourMs;
        const names = first === "the child" ? ["amd64", "x"] : ["x", "amd64"];
        for (const name of names) await retire(world(), await judged(world(), name));
        expect(await left(world())).toEqual([]);
        expect([await isThere(world(), child), await isThere(world(), digest)]).toEqual([
          false,
          false,
        ]);
      });
    }

    test("takes the tag alone of what an index has as a part, tagged or not", async () => {
      const child = await world().image("a", { blobs: [1], tags: ["amd64"] });
      const parent = await world().put("a", { children: [child] });
      world().nowMs += 2 * hourMs;
      expect((await retire(world(), await judged(world(), "amd64"))).results).toEqual(["untagged"]);
      expect(await isThere(world(), child)).toBe(true);
      expect(await isThere(world(), parent.digest)).toBe(true);
    });

    test("takes referrers along, but for one that has a tag of its own", async () => {
      const subject = await world().image("a", { blobs: [1], tags: ["x"] });
      const tagged = await world().image("a", { blobs: [2], subject, tags: ["doc"] });
      const silent = await world().image("a", { blobs: [3], subject });
      world().nowMs += 2 * hourMs;
      expect(await retire(world(), await judged(world(), "x"))).toMatchObject({
        ...removed,
        manifests: 2,
      });
      expect(await isThere(world(), silent)).toBe(false);
      expect((await world().index.findTag(repo("a"), tag("doc")))?.digest).toBe(tagged);
    });

    for (const first of ["the referrer", "the subject"]) {
      test(`of a referrer and its subject, ${first} first, takes both`, async () => {
        const subject = await world().image("a", { blobs: [1], tags: ["x"] });
        const referrer = await world().image("a", { blobs: [2], subject, tags: ["doc"] });
        world().nowMs += 2 * hourMs;
        const names = first === "the referrer" ? ["doc", "x"] : ["x", "doc"];
        for (const name of names) await retire(world(), await judged(world(), name));
        expect([await isThere(world(), subject), await isThere(world(), referrer)]).toEqual([
          false,
          false,
        ]);
      });
    }

    test("takes attachments along with their image, in turn, and no others", async () => {
      const hex = (digest: Digest): string => digest.slice("sha256:".length);
      const image = await world().image("a", { blobs: [1], tags: ["x"] });
      const other = await world().image("a", { blobs: [2], tags: ["y"] });
      const attach = async (to: Digest, suffix: string, blob: number): Promise<Digest> =>
        await world().image("a", { blobs: [blob], tags: [`sha256-${hex(to)}${suffix}`] });
      const attestation = await attach(image, ".att", 11);
      await attach(attestation, ".sig", 12);
      const shared = await attach(image, ".sig", 13);
      await world().put("a", { layers: [blobNo(13)], tags: [`sha256-${hex(other)}.sig`] });
      await attach(image, "", 14);
      const outcome = await retire(world(), await judged(world(), "x"));
      expect(outcome).toMatchObject({ ...removed, tags: 5, manifests: 4 });
      expect(await left(world())).toEqual([`sha256-${hex(other)}.sig`, "y"].sort());
      expect(await isThere(world(), shared)).toBe(true);
    });

    test("leaves an immutable attachment, and what it names, where they are", async () => {
      const image = await world().image("a", { blobs: [1], tags: ["x"] });
      const name = `sha256-${image.slice("sha256:".length)}`;
      const signature = await world().image("a", { blobs: [2], tags: [`${name}.sig`] });
      // Of two tags: then the tag alone would go.
      await world().image("a", { blobs: [3], tags: [`${name}.att`, "doc"] });
      const immutable = [{ name: "signatures", tags: ["sha256-*"] }];
      const outcome = await world().index.retireImages({
        repository: repo("a"),
        images: await judged(world(), "x"),
        witnesses: [],
        deletion: deletionOf(world(), immutable),
      });
      expect(outcome).toMatchObject({ ...removed, tags: 1, manifests: 1 });
      expect(await left(world())).toEqual(["doc", `${name}.att`, `${name}.sig`]);
      expect(await isThere(world(), signature)).toBe(true);
    });
  });

  describe("retiring untagged manifests", () => {
    const world = worldOf(driver);
    const untagged = async (): Promise<Digest[]> => {
      const { index, nowMs } = world();
      const found: Digest[] = [];
      for (let after: number | null = null; ;) {
        const page = await index.untaggedManifests(repo("a"), {
          after,
          limit: 1,
          untaggedBeforeMs: nowMs - dayMs,
          nowMs,
        });
        found.push(...page.filter(({ goes }) => goes).map(({ digest }) => digest));
        after = page.at(-1)?.position ?? null;
        if (after === null) return found;
      }
    };
    const retireUntagged = async (...digests: Digest[]): Promise<Digest[]> => {
      const { gone } = await world().index.retireUntagged({
        repository: repo("a"),
        digests,
        untaggedBeforeMs: world().nowMs - dayMs,
        deletion: deletionOf(world()),
      });
      return [...gone];
    };

    test("takes those that have been so for long, and nothing keeps", async () => {
      const old = await world().image("a", { blobs: [1], tags: ["x"] });
      await world().image("a", { blobs: [2], tags: ["x"] });
      world().nowMs += dayMs;
      const young = await world().image("a", { blobs: [3], tags: ["y"] });
      await world().image("a", { blobs: [4], tags: ["y"] });
      expect(await untagged()).toEqual([old]);
      expect(await retireUntagged(old, young)).toEqual([old]);
      expect(await untagged()).toEqual([]);
      expect(await left(world())).toEqual(["x", "y"]);
      const [entry] = await world().index.listDeletions({ after: null, limit: 9 });
      expect(entry).toMatchObject({ digest: old, what: "image", tags: [] });
    });

    for (const first of ["the removal", "the push"]) {
      test(`and a push of a tag for it, ${first} first`, async () => {
        const digest = await world().image("a", { blobs: [1], tags: ["x"] });
        await world().image("a", { blobs: [2], tags: ["x"] });
        world().nowMs += dayMs;
        const gone = first === "the removal" ? await retireUntagged(digest) : [];
        await world().image("a", { blobs: [1], tags: ["y"] });
        if (first === "the push") expect(await retireUntagged(digest)).toEqual([]);
        else expect(gone).toEqual([digest]);
        expect(await isThere(world(), digest)).toBe(true);
      });
    }

    test("takes an index with its children, whichever is asked for first", async () => {
      const child = await world().image("a", { blobs: [1] });
      const { digest } = await world().put("a", { children: [child], tags: ["x"] });
      await world().image("a", { blobs: [2], tags: ["x"] });
      world().nowMs += dayMs + hourMs;
      expect(await retireUntagged(child, digest)).toEqual([digest]);
      expect(await isThere(world(), child)).toBe(false);
    });
  });

  describe("when rules were applied", () => {
    const world = worldOf(driver);

    test("is kept, also over a rebuild of the facts", async () => {
      const { index } = world();
      expect(await index.retentionRuns()).toEqual(new Map());
      await index.setRetentionRuns(new Map([["ci", 1_000]]));
      await index.startRebuild();
      expect(await index.retentionRuns()).toEqual(new Map([["ci", 1_000]]));
    });
  });
}
