// Lists: tags, the catalogue, referrers; their pages.
import { describe, expect, test } from "bun:test";
import { type Digest, digestOf, manifestBytesMax, mediaTypes } from "../../../src/oci/index.ts";
import {
  anyNumber,
  errorIn,
  type Harness,
  imageManifest,
  manifestInit,
  type RegistryFactory,
  startHarness,
} from "../harness.ts";

export function listTests(factory: RegistryFactory): void {
  describe("tags/list", () => tagTests(factory));
  describe("_catalog", () => catalogTests(factory));
  describe("referrers", () => referrerTests(factory));
}

function nextOf(response: Response): string | null {
  const match = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("link") ?? "");
  return match?.[1] ?? null;
}

async function withTags(factory: RegistryFactory, tags: readonly string[], tagsMax = 1000) {
  const harness = await startHarness(factory, { tagsMax });
  const digest = await harness.pushImage("team/app", tags[0] ?? "");
  const manifest = await (await harness.ask(`/v2/team/app/manifests/${digest}`)).text();
  for (let i = 0; i < tags.length; i += 50) {
    const query = tags.slice(i, i + 50).map((tag) => `tag=${tag}`);
    await harness.ask(
      `/v2/team/app/manifests/${digest}?${query.join("&")}`,
      manifestInit(manifest),
    );
  }
  return harness;
}

async function tagsOf(response: Response): Promise<string[]> {
  const body = (await response.json()) as { name: string; tags: string[] };
  expect(body.name).toBe("team/app");
  return body.tags;
}

function tagTests(factory: RegistryFactory): void {
  test("all of them in ASCII order, without Link", async () => {
    await using harness = await withTags(factory, ["b", "a", "_", "B", "1.0", "10"]);
    const response = await harness.ask("/v2/team/app/tags/list");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(response.headers.get("link")).toBeNull();
    expect(await tagsOf(response)).toEqual(["1.0", "10", "B", "_", "a", "b"]);
  });

  test("in pages that Link leads through", async () => {
    await using harness = await withTags(factory, ["a", "b", "c", "d", "e"]);
    let path: string | null = "/v2/team/app/tags/list?n=2";
    const seen: string[][] = [];
    while (path !== null) {
      const response = await harness.ask(path);
      seen.push(await tagsOf(response));
      path = nextOf(response);
    }
    expect(seen).toEqual([["a", "b"], ["c", "d"], ["e"]]);
    const first = await harness.ask("/v2/team/app/tags/list?n=2");
    expect(nextOf(first)).toBe("/v2/team/app/tags/list?last=b&n=2");
  });

  test("n=0 is empty without Link; n of all has no Link; last without n", async () => {
    await using harness = await withTags(factory, ["a", "b", "c"]);
    const none = await harness.ask("/v2/team/app/tags/list?n=0");
    expect(nextOf(none)).toBeNull();
    expect(await tagsOf(none)).toEqual([]);
    const all = await harness.ask("/v2/team/app/tags/list?n=3");
    expect(nextOf(all)).toBeNull();
    expect(await tagsOf(all)).toEqual(["a", "b", "c"]);
    expect(await tagsOf(await harness.ask("/v2/team/app/tags/list?last=a"))).toEqual(["b", "c"]);
    expect(await tagsOf(await harness.ask("/v2/team/app/tags/list?last=zz&n=5"))).toEqual([]);
  });

  test("more than tags.maxtags gives a shorter page and a Link", async () => {
    await using harness = await withTags(factory, ["a", "b", "c"], 2);
    const response = await harness.ask("/v2/team/app/tags/list?n=10000");
    expect(response.status).toBe(200);
    expect(nextOf(response)).toBe("/v2/team/app/tags/list?last=b&n=2");
    expect(await tagsOf(response)).toEqual(["a", "b"]);
    expect(await tagsOf(await harness.ask("/v2/team/app/tags/list"))).toEqual(["a", "b", "c"]);
  });

  test.each(["x", "-1", "1.5", "1e3"])("n=%s is 400 PAGINATION_NUMBER_INVALID", async (n) => {
    await using harness = await withTags(factory, ["a"]);
    const response = await harness.ask(`/v2/team/app/tags/list?n=${n}`);
    expect(response.status).toBe(400);
    expect((await errorIn(response)).code).toBe("PAGINATION_NUMBER_INVALID");
  });

  test("of an unknown repository is 404 NAME_UNKNOWN, with n=0 too", async () => {
    await using harness = await startHarness(factory);
    for (const query of ["", "?n=5", "?n=0"]) {
      const response = await harness.ask(`/v2/nobody/tags/list${query}`);
      expect(response.status).toBe(404);
      expect((await errorIn(response)).code).toBe("NAME_UNKNOWN");
    }
  });
}

async function repositoriesOf(response: Response): Promise<string[]> {
  return ((await response.json()) as { repositories: string[] }).repositories;
}

function catalogTests(factory: RegistryFactory): void {
  const withRepositories = async (names: readonly string[], catalogEntriesMax = 1000) => {
    const harness = await startHarness(factory, { catalogEntriesMax, prefix: "/x/" });
    const under = await startUnder(harness);
    for (const name of names) await under(name);
    return harness;
  };

  test("lists what holds a manifest, in pages under the prefix", async () => {
    await using harness = await withRepositories(["b", "a/b", "a", "c"]);
    const all = await harness.ask("/x/v2/_catalog");
    expect(all.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await repositoriesOf(all)).toEqual(["a", "a/b", "b", "c"]);
    const first = await harness.ask("/x/v2/_catalog?n=2");
    expect(await repositoriesOf(first)).toEqual(["a", "a/b"]);
    expect(nextOf(first)).toBe("/x/v2/_catalog?last=a%2Fb&n=2");
    const second = await harness.ask(nextOf(first) ?? "");
    expect(await repositoriesOf(second)).toEqual(["b", "c"]);
    expect(nextOf(second)).toBeNull();
  });

  test("without n at most 100, n above catalog.maxentries is 400", async () => {
    await using harness = await withRepositories(["a", "b", "c"], 2);
    const short = await harness.ask("/x/v2/_catalog");
    expect(await repositoriesOf(short)).toEqual(["a", "b"]);
    expect(nextOf(short)).toBe("/x/v2/_catalog?last=b&n=2");
    const response = await harness.ask("/x/v2/_catalog?n=3");
    expect(response.status).toBe(400);
    const error = await errorIn(response);
    expect([error.code, error.detail]).toEqual(["PAGINATION_NUMBER_INVALID", { n: 3 }]);
    expect(await repositoriesOf(await harness.ask("/x/v2/_catalog?n=0"))).toEqual([]);
  });
}

/** Pushes a manifest into a repository of a server that has the prefix /x/. */
async function startUnder(harness: Harness): Promise<(name: string) => Promise<void>> {
  const config = "{}";
  const digest = digestOf(Buffer.from(config));
  return async (name) => {
    const path = `/x/v2/${name}/blobs/uploads/?digest=${digest}`;
    expect((await harness.ask(path, { method: "POST", body: config })).status).toBe(201);
    const manifest = imageManifest({ config: digest });
    const put = await harness.ask(`/x/v2/${name}/manifests/v1`, manifestInit(manifest));
    expect(put.status).toBe(201);
  };
}

interface IndexBody {
  readonly schemaVersion: number;
  readonly mediaType: string;
  readonly manifests: readonly Record<string, unknown>[];
}

function referrerTests(factory: RegistryFactory): void {
  const subject = digestOf(Buffer.from("the subject"));

  async function pushReferrer(harness: Harness, type: string, note: string): Promise<Digest> {
    const config = await harness.pushBlob("app", "{}");
    const more = {
      artifactType: type,
      annotations: { note },
      subject: { mediaType: mediaTypes.ociManifest, digest: subject, size: 11 },
    };
    const manifest = imageManifest({ config, more });
    const digest = digestOf(Buffer.from(manifest));
    const put = await harness.ask(`/v2/app/manifests/${digest}`, manifestInit(manifest));
    expect(put.status).toBe(201);
    return digest;
  }

  test("none: an empty index, also of an unknown repository", async () => {
    await using harness = await startHarness(factory);
    const response = await harness.ask(`/v2/nobody/referrers/${subject}`);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe(mediaTypes.ociIndex);
    expect((await response.json()) as IndexBody).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [],
    });
  });

  test("their descriptors with artifact type and annotations, filtered on request", async () => {
    await using harness = await startHarness(factory);
    const sbom = await pushReferrer(harness, "x/sbom", "one");
    const signature = await pushReferrer(harness, "x/signature", "two");
    const all = await harness.ask(`/v2/app/referrers/${subject}`);
    expect(all.headers.get("oci-filters-applied")).toBeNull();
    const { manifests } = (await all.json()) as IndexBody;
    expect(manifests.map(({ digest }) => digest)).toEqual([sbom, signature].sort());
    const one = await harness.ask(`/v2/app/referrers/${subject}?artifactType=x%2Fsbom`);
    expect(one.headers.get("oci-filters-applied")).toBe("artifactType");
    expect(((await one.json()) as IndexBody).manifests).toEqual([
      {
        mediaType: mediaTypes.ociManifest,
        digest: sbom,
        size: anyNumber,
        artifactType: "x/sbom",
        annotations: { note: "one" },
      },
    ]);
  });

  test("a malformed digest is 400", async () => {
    await using harness = await startHarness(factory);
    const response = await harness.ask("/v2/app/referrers/sha256:zz");
    expect(response.status).toBe(400);
    expect((await errorIn(response)).code).toBe("DIGEST_INVALID");
  });

  test("more than 4 MiB come in pages that Link leads through", async () => {
    await using harness = await startHarness(factory);
    const pushed: string[] = [];
    for (const letter of ["a", "b", "c"]) {
      pushed.push(await pushReferrer(harness, "x/big", letter.repeat(2_000_000)));
    }
    let path: string | null = `/v2/app/referrers/${subject}?artifactType=x/big`;
    const seen: unknown[][] = [];
    while (path !== null) {
      const response = await harness.ask(path);
      const text = await response.text();
      expect(text.length).toBeLessThanOrEqual(manifestBytesMax);
      seen.push((JSON.parse(text) as IndexBody).manifests.map(({ digest }) => digest));
      expect(response.headers.get("oci-filters-applied")).toBe("artifactType");
      path = nextOf(response);
    }
    expect(seen.map((page) => page.length)).toEqual([2, 1]);
    expect(seen.flat()).toEqual(pushed.sort());
  });
}
