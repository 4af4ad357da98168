// Deleting over the API, the list of what can be restored, and restoring it.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { makeImage, makeIndex, makeLayer } from "../../support/images.ts";
import { textLike } from "../harness.ts";
import { type Served, type ServedOptions, startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

interface Deletion {
  readonly id: number;
  readonly what: string;
  readonly repository: string;
  readonly tags: readonly string[];
}

const first = makeImage("first", [100]);
const second = makeImage("second", [200]);

const remove = (served: Served, path: string, headers: Record<string, string> = {}) =>
  served.ask(path, { method: "DELETE", headers: { "X-Plimsoll": "1", ...headers } });

async function outcomeOf(response: Response): Promise<string> {
  const body = (await response.json()) as { error?: { code: string }; outcome?: string };
  return `${response.status} ${body.error?.code ?? body.outcome ?? ""}`;
}

async function names(served: Served): Promise<string[]> {
  const { items } = await served.get<{ items: { name: string }[] }>("/repositories");
  return items.map(({ name }) => name);
}

async function tagsOf(served: Served, name: string): Promise<string[]> {
  const { items } = await served.get<{ items: { name: string }[] }>(`/repositories/${name}/-/tags`);
  return items.map((item) => item.name);
}

async function withImages(options: ServedOptions = {}): Promise<Served> {
  const served = await startServed(options);
  await served.push.push("team/app", "v1", first);
  await served.push.push("team/app", "latest", first);
  await served.push.push("team/app", "v2", second);
  await served.push.push("other", "x", first);
  return served;
}

const dayMs = 24 * 3_600_000;

describe("a tag", () => {
  test("goes, the image stays, and comes back", async () => {
    await using served = await withImages();
    const gone = await remove(served, "/repositories/team/app/-/tags/v1");
    expect(gone.status).toBe(200);
    const { restorableUntil, ...rest } = (await gone.json()) as { restorableUntil: string };
    expect(rest).toEqual({ tag: "v1", digest: first.manifest.digest } as object);
    expect(Math.abs(Date.parse(restorableUntil) - Date.now() - dayMs)).toBeLessThan(60_000);
    expect(await tagsOf(served, "team/app")).toEqual(["latest", "v2"]);
    expect(await outcomeOf(await remove(served, "/repositories/team/app/-/tags/v1"))).toBe(
      "404 MANIFEST_UNKNOWN",
    );
    const restore = { repository: "team/app", tag: "v1" };
    const foretold = await served.post("/deletions/restore", { ...restore, dryRun: true });
    expect(await foretold.json()).toMatchObject({
      outcome: "restored",
      dryRun: true,
      tags: ["v1"],
    });
    expect(await tagsOf(served, "team/app")).toEqual(["latest", "v2"]);
    expect(await outcomeOf(await served.post("/deletions/restore", restore))).toBe("200 restored");
    expect(await tagsOf(served, "team/app")).toEqual(["latest", "v1", "v2"]);
    expect((await served.push.pull("team/app", "v1")).digest).toBe(first.manifest.digest);
    expect(await outcomeOf(await served.post("/deletions/restore", restore))).toBe("200 there");
  });

  test("that was moved meanwhile stays, if that was asked for", async () => {
    await using served = await withImages();
    const path = `/repositories/team/app/-/tags/v2?digest=${first.manifest.digest}`;
    expect(await outcomeOf(await remove(served, path))).toBe("409 CHANGED");
    expect(await tagsOf(served, "team/app")).toContain("v2");
    const right = `/repositories/team/app/-/tags/v2?digest=${second.manifest.digest}`;
    expect((await remove(served, right)).status).toBe(200);
  });

  test("that is taken by now is not moved, unless that is asked for", async () => {
    await using served = await withImages();
    await remove(served, "/repositories/team/app/-/tags/v1");
    await served.push.push("team/app", "v1", second);
    const refused = await served.post("/deletions/restore", { repository: "team/app", id: 1 });
    expect(refused.status).toBe(409);
    expect(await refused.json()).toMatchObject({
      error: {
        code: "TAG_TAKEN",
        detail: { taken: [{ tag: "v1", digest: second.manifest.digest }] },
      },
    });
    const forced = { repository: "team/app", id: 1, forceTags: true };
    expect(await outcomeOf(await served.post("/deletions/restore", forced))).toBe("200 restored");
    expect((await served.push.pull("team/app", "v1")).digest).toBe(first.manifest.digest);
  });
});

describe("an image", () => {
  test("goes with its tags and children, and comes back with them", async () => {
    await using served = await startServed();
    const layers = [makeLayer("child", 100)];
    const index = makeIndex("tree", { amd64: layers, arm64: layers });
    for (const image of index.images) await served.push.push("app", image.manifest.digest, image);
    await served.push.putManifest("app", "v1", index.manifest);
    const path = `/repositories/app/-/images/${index.manifest.digest}`;
    expect(await outcomeOf(await remove(served, "/repositories/app/-/images/v1"))).toBe(
      "400 INVALID_PATH",
    );
    const gone = await remove(served, path, { "User-Agent": "tester/1" });
    const children = index.images.map(({ manifest }) => manifest.digest);
    const { manifests, tags } = (await gone.json()) as { manifests: string[]; tags: string[] };
    expect(tags).toEqual(["v1"]);
    expect(manifests[0]).toBe(index.manifest.digest);
    // A child that was pushed by itself a moment ago has a lease, and may stay for that time.
    expect(children).toEqual(expect.arrayContaining(manifests.slice(1)) as never);
    const audited = served.lines.filter(({ message }) => message === "audit").at(-1);
    expect(audited?.fields).toMatchObject({
      action: "delete",
      what: "image",
      repository: "app",
      reference: index.manifest.digest,
      by: "127.0.0.1",
      from: textLike(/^127\.0\.0\.1:\d+ tester\/1$/),
      outcome: "deleted",
      reason: "api",
    });
    const restore = { repository: "app", digest: index.manifest.digest };
    const back = await served.post("/deletions/restore", restore);
    expect(await back.json()).toMatchObject({ outcome: "restored", tags: ["v1"], taken: [] });
    expect(await served.get<object>("/repositories/app/-/images/v1")).toMatchObject({
      manifests: [{ isPresent: true }, { isPresent: true }],
    });
  });

  test("that was collected is gone for good, and that is said", async () => {
    await using served = await withImages();
    await remove(served, `/repositories/team/app/-/images/${second.manifest.digest}`);
    await served.post("/collection/start", { keepDeletedSeconds: 0 });
    while ((await served.get<{ state: string }>("/collection")).state !== "idle") {
      await Bun.sleep(20);
    }
    const restore = { repository: "team/app", digest: second.manifest.digest };
    const refused = await served.post("/deletions/restore", restore);
    expect([refused.status, await refused.text()]).toEqual([410, textLike(/push it again/)]);
    const never = { repository: "team/app", tag: "never" };
    expect(await outcomeOf(await served.post("/deletions/restore", never))).toBe(
      "404 NOTHING_TO_RESTORE",
    );
  });

  test.each([
    ['{"repository":"team/app"}', "400 INVALID_BODY"],
    ['{"repository":"team/app","id":1,"tag":"x"}', "400 INVALID_BODY"],
    ['{"repository":"A","id":1}', "400 INVALID_BODY"],
    ['{"repository":"team/app","digest":"sha256:1"}', "400 INVALID_BODY"],
    ['{"tag":"x"}', "400 INVALID_BODY"],
    ['{"repository":"team/app","id":77}', "404 NOTHING_TO_RESTORE"],
  ])("restoring %s is %s", async (body, outcome) => {
    await using served = await startServed({ inMemory: true });
    const response = await served.post("/deletions/restore", JSON.parse(body) as object);
    expect(await outcomeOf(response)).toBe(outcome);
  });
});

describe("a whole repository", () => {
  test("vanishes from the catalogue, and what others hold stays", async () => {
    await using served = await withImages();
    await served.push.push("team/app/tags/c", "x", second);
    expect(await outcomeOf(await remove(served, "/repositories/team/app/-/tags"))).toBe(
      "405 METHOD_NOT_ALLOWED",
    );
    const gone = await remove(served, "/repositories/team%2Fapp");
    expect(await gone.json()).toMatchObject({ images: 2, manifests: 2, tags: 3, uploads: 0 });
    expect(await names(served)).toEqual(["other", "team/app/tags/c"]);
    const { repositories } = (await (await fetch(`${served.origin}/v2/_catalog`)).json()) as {
      repositories: string[];
    };
    expect(repositories).toEqual(["other", "team/app/tags/c"]);
    expect((await served.push.pull("other", "x")).digest).toBe(first.manifest.digest);
    expect(await outcomeOf(await remove(served, "/repositories/team/app"))).toBe(
      "404 NAME_UNKNOWN",
    );
    expect((await remove(served, "/repositories/team/app/tags/c")).status).toBe(200);

    const restore = "/repositories/team%2Fapp/-/restore";
    const foretold = await served.post(restore, { dryRun: true });
    expect(await foretold.json()).toMatchObject({ dryRun: true, restored: 2, tags: 3, failed: 0 });
    expect(await names(served)).toEqual(["other"]);
    const back = await served.post(restore);
    expect(await back.json()).toEqual({
      dryRun: false,
      restored: 2,
      manifests: 2,
      tags: 3,
      failed: 0,
      failures: [],
    } as never);
    expect(await tagsOf(served, "team/app")).toEqual(["latest", "v1", "v2"]);
    expect((await served.push.pull("team/app", "v2")).digest).toBe(second.manifest.digest);
    expect(await outcomeOf(await served.post(restore))).toBe("404 NOTHING_TO_RESTORE");
  });
});

describe("the list of deletions", () => {
  test("has the youngest first, in pages, also of one repository", async () => {
    await using served = await withImages();
    await remove(served, "/repositories/team/app/-/tags/v1");
    await remove(served, `/repositories/other/-/images/${first.manifest.digest}`);
    await remove(served, "/repositories/team/app/-/tags/v2");
    const shown = async (query: string): Promise<string[][]> => {
      const pages: string[][] = [];
      let at: string | null = `/deletions?${query}`;
      while (at !== null) {
        const page: { items: Deletion[]; next: string | null } = await served.get(at);
        pages.push(
          page.items.map(({ what, repository, tags }) => `${what} ${repository} ${tags.join()}`),
        );
        at = page.next?.replace(/^\/api\/v1/, "") ?? null;
      }
      return pages;
    };
    const all = ["tag team/app v2", "image other x", "tag team/app v1"];
    expect(await shown("limit=10")).toEqual([all]);
    expect(await shown("limit=1")).toEqual(all.map((one) => [one]));
    expect((await shown("limit=1&repository=team/app")).flat()).toEqual([
      "tag team/app v2",
      "tag team/app v1",
    ]);
    expect(await shown("repository=nobody")).toEqual([[]]);
    expect((await served.ask("/deletions?repository=A")).status).toBe(400);
  });
});

describe("deleting and restoring is refused", () => {
  const targets = [
    "/repositories/team/app",
    "/repositories/team/app/-/tags/v1",
    `/repositories/team/app/-/images/${first.manifest.digest}`,
  ];

  test("without the header, where deleting is disabled, and read-only", async () => {
    await using served = await withImages({ deletes: false });
    for (const path of targets) {
      expect(await outcomeOf(await served.ask(path, { method: "DELETE" }))).toBe("403 CROSS_SITE");
      expect(await outcomeOf(await remove(served, path))).toBe("403 DELETE_DISABLED");
    }
    const refusals = served.lines.filter(({ message }) => message === "audit");
    expect(refusals).toHaveLength(6);
    expect(refusals.at(-1)?.fields).toMatchObject({
      action: "deleteImage",
      repository: "team/app",
      reference: first.manifest.digest,
      outcome: "refused: DELETE_DISABLED",
    });
    expect(await tagsOf(served, "team/app")).toHaveLength(3);
    await using readOnly = await startServed({ readOnly: true });
    for (const path of targets) {
      expect(await outcomeOf(await remove(readOnly, path))).toBe("403 READ_ONLY");
    }
    const restore = await readOnly.post("/deletions/restore", { repository: "a", id: 1 });
    expect(await outcomeOf(restore)).toBe("403 READ_ONLY");
  });
});
