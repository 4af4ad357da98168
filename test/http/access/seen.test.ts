// What somebody gets to see and to use of what is there: lists, mounts, leases.
import { describe, expect, test } from "bun:test";
import type { Digest } from "../../../src/oci/index.ts";
import { createFakeRegistry } from "../fake-registry.ts";
import { manifestInit, imageManifest, withParameter } from "../harness.ts";
import { type Guarded, htpasswdOnly, startGuarded, withIssuer } from "./guarded.ts";

const openForRoot = `access:
  - { repositories: ["public/**"], users: ["*"], actions: [pull] }
  - { repositories: ["team-a/**"], users: [alice], actions: [pull, push] }
  - { repositories: ["team-b/**"], users: [bob], actions: [pull, push] }
  - { repositories: ["**"], users: [ops], actions: [pull, push, delete] }`;

async function pushBlob(guarded: Guarded, repository: string, content: string): Promise<Digest> {
  const { ask } = guarded;
  const begun = await ask(`/v2/${repository}/blobs/uploads/`, "ops:pw", { method: "POST" });
  expect(begun.status).toBe(202);
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(content).digest("hex")}` as Digest;
  const location = withParameter(begun.headers.get("location"), "digest", digest);
  const put = await ask(location.replace(/^https?:\/\/[^/]+/, ""), "ops:pw", {
    method: "PUT",
    body: content,
  });
  expect(put.status).toBe(201);
  return digest;
}

async function pushImage(guarded: Guarded, repository: string, content: string): Promise<Digest> {
  const layer = await pushBlob(guarded, repository, content);
  const config = await pushBlob(guarded, repository, `{"of":"${content}"}`);
  const manifest = imageManifest({ config, layers: [layer] });
  const put = await guarded.ask(`/v2/${repository}/manifests/v1`, "ops:pw", manifestInit(manifest));
  expect(put.status).toBe(201);
  return layer;
}

async function catalogue(guarded: Guarded, as: string | null, query = ""): Promise<string[]> {
  const all: string[] = [];
  let path: string | null = `/v2/_catalog${query}`;
  while (path !== null) {
    const response: Response = await guarded.ask(path, as);
    expect(response.status).toBe(200);
    all.push(...((await response.json()) as { repositories: string[] }).repositories);
    path = /^<([^>]+)>/.exec(response.headers.get("link") ?? "")?.[1] ?? null;
  }
  return all;
}

describe("the catalogue", () => {
  const names = ["alone", "public/a", "public/b", "team-a/x", "team-a/y/z", "team-b/x", "zoo"];

  test("shows what may be pulled, page by page, and no other name", async () => {
    await using guarded = await startGuarded(`${htpasswdOnly}\n${openForRoot}`);
    for (const name of names) await pushImage(guarded, name, name);
    for (const query of ["", "?n=1", "?n=2", "?n=100"]) {
      expect(await catalogue(guarded, "ops:pw", query)).toEqual(names);
      expect(await catalogue(guarded, "alice:pw", query)).toEqual([
        "public/a",
        "public/b",
        "team-a/x",
        "team-a/y/z",
      ]);
      expect(await catalogue(guarded, "bob:pw", query)).toEqual([
        "public/a",
        "public/b",
        "team-b/x",
      ]);
      expect(await catalogue(guarded, "mallory:pw", query)).toEqual(["public/a", "public/b"]);
      expect(await catalogue(guarded, null, query)).toEqual(["public/a", "public/b"]);
    }
    expect(await catalogue(guarded, "alice:pw", "?last=public/b")).toEqual([
      "team-a/x",
      "team-a/y/z",
    ]);
  });

  test("nobody who may see nothing may ask; who is logged in sees an empty list", async () => {
    const rules = `access: [{repositories: ["a/**"], users: [alice], actions: [pull]}]`;
    await using guarded = await startGuarded(`${htpasswdOnly}\n${rules}`);
    expect((await guarded.ask("/v2/_catalog", null)).status).toBe(401);
    expect(await catalogue(guarded, "bob:pw")).toEqual([]);
  });
});

describe("mounts", () => {
  async function mount(guarded: Guarded, as: string, query: string): Promise<number> {
    const path = `/v2/team-a/new/blobs/uploads/?${query}`;
    return (await guarded.ask(path, as, { method: "POST" })).status;
  }

  test("from where the caller may pull; else an upload begins, as if nothing were there", async () => {
    await using guarded = await startGuarded(`${htpasswdOnly}\n${openForRoot}`);
    const open = await pushImage(guarded, "public/a", "open");
    const own = await pushImage(guarded, "team-a/x", "own");
    const secret = await pushImage(guarded, "team-b/x", "secret");
    const absent = `sha256:${"0".repeat(64)}`;
    expect(await mount(guarded, "alice:pw", `mount=${open}&from=public/a`)).toBe(201);
    expect(await mount(guarded, "alice:pw", `mount=${own}&from=team-a/x`)).toBe(201);
    for (const digest of [secret, absent]) {
      expect(await mount(guarded, "alice:pw", `mount=${digest}&from=team-b/x`)).toBe(202);
      expect(await mount(guarded, "alice:pw", `mount=${digest}&from=no/such`)).toBe(202);
      expect(await mount(guarded, "alice:pw", `mount=${digest}`)).toBe(202);
      expect(await mount(guarded, "alice:pw", `mount=${digest}&from=`)).toBe(202);
      const head = await guarded.ask(`/v2/team-a/new/blobs/${digest}`, "alice:pw", {
        method: "HEAD",
      });
      expect(head.status).toBe(404);
    }
  });

  test("without from: any repository that the caller may pull, however many hold it", async () => {
    await using guarded = await startGuarded(`${htpasswdOnly}\n${openForRoot}`);
    const digest = await pushImage(guarded, "team-b/x", "both");
    expect(await mount(guarded, "alice:pw", `mount=${digest}`)).toBe(202);
    for (let n = 0; n < 120; n++) {
      const path = `/v2/team-b/n${n}/blobs/uploads/?mount=${digest}&from=team-b/x`;
      expect((await guarded.ask(path, "ops:pw", { method: "POST" })).status).toBe(201);
    }
    expect(await mount(guarded, "alice:pw", `mount=${digest}`)).toBe(202);
    await pushImage(guarded, "public/a", "both");
    expect(await mount(guarded, "alice:pw", `mount=${digest}`)).toBe(201);
  });

  test("with a token, only from repositories that it names", async () => {
    await using guarded = await startGuarded(`${withIssuer}\n${openForRoot}`);
    const open = await pushImage(guarded, "public/a", "open");
    const tokenFor = async (scopes: string): Promise<string> => {
      const response = await guarded.ask(`/auth/token?${scopes}`, "alice:pw");
      return ((await response.json()) as { token: string }).token;
    };
    const target = "scope=repository:team-a/new:pull,push";
    const query = `mount=${open}&from=public/a`;
    expect(await mount(guarded, await tokenFor(target), query)).toBe(202);
    const both = await tokenFor(`${target}&scope=repository:public/a:pull`);
    expect(await mount(guarded, both, query)).toBe(201);
  });
});

test("who may only pull takes no lease by looking; who may push takes it as a user (INV-5)", async () => {
  const registry = createFakeRegistry();
  const rules = `access:
  - { repositories: ["team-a/**"], users: [alice], actions: [pull, push] }
  - { repositories: ["team-a/**"], users: [bob], actions: [pull] }
  - { repositories: ["**"], users: [ops], actions: [pull, push] }`;
  await using guarded = await startGuarded(`${withIssuer}\n${rules}`, { registry: () => registry });
  const layer = await pushImage(guarded, "team-a/x", "layer");
  registry.leased.length = 0;
  const head = async (as: string): Promise<readonly string[]> => {
    for (const path of [`blobs/${layer}`, "manifests/v1"]) {
      const answer = await guarded.ask(`/v2/team-a/x/${path}`, as, { method: "HEAD" });
      expect(answer.status).toBe(200);
    }
    return registry.leased.splice(0).map((text) => text.split(" ")[0] ?? "");
  };
  expect(await head("bob:pw")).toEqual([]);
  expect(await head("alice:pw")).toEqual(["alice", "alice"]);
  const tokenFor = async (actions: string): Promise<string> => {
    const path = `/auth/token?scope=repository:team-a/x:${actions}`;
    return ((await (await guarded.ask(path, "alice:pw")).json()) as { token: string }).token;
  };
  expect(await head(await tokenFor("pull"))).toEqual([]);
  expect(await head(await tokenFor("pull,push"))).toEqual(["alice", "alice"]);
});
