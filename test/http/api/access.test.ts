// The API behind access control: every operation × every kind of caller; and that nobody is shown a name
// of what they may not pull. What is not listed here is for admins alone, also what will be added.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Serving, serve } from "../../../src/compose/index.ts";
import { loadConfig } from "../../../src/config/index.ts";
import type { Logger } from "../../../src/observability/index.ts";
import { operations } from "../../../src/http/api/operations/index.ts";

const directory = mkdtempSync(join(tmpdir(), "plimsoll-api-access-"));
const lines: { message: string; fields: Readonly<Record<string, unknown>> }[] = [];
let serving: Serving;
let origin = "";

function quietLogger(): Logger {
  const log: Logger["info"] = (message, fields = {}) => void lines.push({ message, fields });
  const logger: Logger = {
    info: log,
    warn: log,
    error: log,
    debug: log,
    child: () => logger,
    enabled: () => true,
    flush: () => Promise.resolve(),
  };
  return logger;
}

const yaml = `version: 0.1
storage: {filesystem: {rootdirectory: DIR/root}, delete: {enabled: true}}
http: {addr: "127.0.0.1:0", draintimeout: 1s}
gc: {enabled: false}
auth: {htpasswd: {realm: basic-realm, path: DIR/htpasswd}, issuer: {}}
access:
  - { repositories: ["public/**"], users: ["*"], actions: [pull] }
  - { repositories: ["team-a/**"], users: [alice], actions: [pull, push, delete] }
  - { repositories: ["team-b/**"], users: [bob], actions: [pull, push, delete] }
  - { repositories: ["**"], users: [maker], actions: [pull, push] }
  - { users: [ops], actions: [admin] }
`;

beforeAll(async () => {
  const hash = await Bun.password.hash("pw", { algorithm: "bcrypt", cost: 4 });
  const users = ["alice", "bob", "maker", "ops", "mallory"];
  writeFileSync(join(directory, "htpasswd"), users.map((user) => `${user}:${hash}\n`).join(""));
  const readFile = (): string => yaml.replaceAll("DIR", directory);
  const { config } = loadConfig({ path: "c", env: {}, readFile });
  const logs = {
    logger: quietLogger(),
    accessLog: { write: () => undefined },
    flush: () => Promise.resolve(),
  };
  serving = await serve(config, logs, new AbortController().signal);
  origin = `http://${serving.address}`;
  for (const name of ["public/app", "team-a/app", "team-b/app", "other/app"]) await push(name);
});
afterAll(async () => {
  await serving.stop();
  rmSync(directory, { recursive: true, force: true });
});

function ask(path: string, as: string | null, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (as !== null) headers.set("Authorization", `Basic ${btoa(`${as}:pw`)}`);
  return fetch(origin + path, { ...init, headers });
}

const config = '{"os":"linux"}';
const digestOf = (text: string): string =>
  `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: {
    mediaType: "application/vnd.oci.image.config.v1+json",
    digest: digestOf(config),
    size: config.length,
  },
  layers: [
    {
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      digest: digestOf(config),
      size: config.length,
    },
  ],
});

async function push(name: string): Promise<void> {
  const path = `/v2/${name}/blobs/uploads/?digest=${digestOf(config)}`;
  expect((await ask(path, "maker", { method: "POST", body: config })).status).toBe(201);
  const headers = { "Content-Type": "application/vnd.oci.image.manifest.v1+json" };
  const put = { method: "PUT", body: manifest, headers };
  expect((await ask(`/v2/${name}/manifests/v1`, "maker", put)).status).toBe(201);
}

type Caller = "anonymous" | "alice" | "bob" | "mallory" | "ops";
const callers: readonly Caller[] = ["anonymous", "alice", "bob", "mallory", "ops"];

/** Who may, of team-a/app; `seen`: everybody, of what they may pull. */
const open: Readonly<Record<string, readonly Caller[]>> = {
  listRepositories: callers,
  listLargestRepositories: callers,
  listLargestTags: callers,
  listLargestBlobs: callers,
  getUsageByAge: callers,
  previewDeletion: callers,
  getRepositoryUsage: ["alice", "ops"],
  getImageUsage: ["alice", "ops"],
  getRepository: ["alice", "ops"],
  listTags: ["alice", "ops"],
  getImage: ["alice", "ops"],
  listReferrers: ["alice", "ops"],
  deleteTag: ["alice", "ops"],
  deleteImage: ["alice", "ops"],
  deleteRepository: ["alice", "ops"],
  restoreRepository: ["alice", "ops"],
};

describe("every operation × every caller", () => {
  // Without the header that changes need, nothing is changed, and who may is told so.
  test.each(operations.map((one) => [one.id, one] as const))("%s", async (id, operation) => {
    const path = operation.path
      .replace("{name}", "team-a/app")
      .replace("{reference}", "no-such-tag")
      .replace("{tag}", "no-such-tag")
      .replace("{id}", "1");
    for (const caller of callers) {
      const controller = new AbortController();
      const { method } = operation;
      const init = { method, signal: controller.signal };
      const response = await ask(`/api/v1${path}`, caller === "anonymous" ? null : caller, init);
      const may = (open[id] ?? ["ops"]).includes(caller);
      const body = response.status === 200 && id === "watchCollection" ? "" : await response.text();
      controller.abort();
      const isRefused = response.status === 401 || body.includes('"DENIED"');
      expect([id, caller, isRefused, body]).toEqual([id, caller, !may, body]);
      expect(response.status).toBeLessThan(500);
      if (isRefused) {
        expect(response.status).toBe(caller === "anonymous" ? 401 : 403);
        const challenge = caller === "anonymous" ? 'Basic realm="basic-realm"' : null;
        expect(response.headers.get("www-authenticate")).toBe(challenge);
      }
    }
  });
});

test("HEAD, OPTIONS and the description are no way round", async () => {
  const usage = "/api/v1/usage";
  expect((await ask(usage, "mallory", { method: "HEAD" })).status).toBe(403);
  expect((await ask("/api/v1/openapi.json", null)).status).toBe(401);
  expect((await ask("/api/v1/openapi.json", "mallory")).status).toBe(200);
  expect((await ask("/api/v1/repositories/team-a%2Fapp", "mallory")).status).toBe(403);
  expect((await ask("/api/v1/repositories/team-a%2Fapp", "alice")).status).toBe(200);
  expect((await ask("/api/v1/repositories/TEAM-A/app", "alice")).status).toBe(400);
});

describe("nobody is shown what they may not pull", () => {
  async function names(as: string | null, query = ""): Promise<string[]> {
    const all: string[] = [];
    let next: string | null = `/api/v1/repositories${query}`;
    while (next !== null) {
      const response: Response = await ask(next, as);
      const page = (await response.json()) as { items: { name: string }[]; next: string | null };
      all.push(...page.items.map(({ name }) => name));
      ({ next } = page);
    }
    return all;
  }

  test("in the list of repositories, however it is asked for", async () => {
    for (const query of ["", "?limit=1", "?search=app", "?search=**&limit=1"]) {
      expect(await names(null, query)).toEqual(["public/app"]);
      expect(await names("alice", query)).toEqual(["public/app", "team-a/app"]);
      expect(await names("ops", query)).toEqual([
        "other/app",
        "public/app",
        "team-a/app",
        "team-b/app",
      ]);
    }
    expect(await names("alice", "?search=team-b")).toEqual([]);
  });

  test("among those who use a layer", async () => {
    const users = async (as: string): Promise<unknown> => {
      const response = await ask("/api/v1/repositories/team-a/app/-/images/v1", as);
      const image = (await response.json()) as { layers: { usedBy: unknown }[] };
      return image.layers[0]?.usedBy;
    };
    expect(await users("alice")).toEqual({ repositories: ["public/app"], count: 1, atLeast: true });
    expect(await users("ops")).toEqual({
      repositories: ["public/app", "team-b/app", "other/app"],
      count: 3,
      atLeast: false,
    });
  });
});

describe("reports on space", () => {
  async function report(path: string, as: string | null): Promise<Record<string, unknown>> {
    const response = await ask(`/api/v1${path}`, as);
    expect(response.status).toBe(200);
    return (await response.json()) as Record<string, unknown>;
  }
  const all = ["other/app", "public/app", "team-a/app", "team-b/app"];
  const seen: readonly (readonly [string | null, readonly string[]])[] = [
    [null, ["public/app"]],
    ["mallory", ["public/app"]],
    ["alice", ["public/app", "team-a/app"]],
    ["ops", all],
  ];

  test.each(seen)("%p is told of %j", async (as, names) => {
    for (const path of ["repositories", "tags"]) {
      for (const query of ["", "?repositories=**", "?repositories=*/app,nothing"]) {
        const { items } = await report(`/usage/${path}${query}`, as);
        const told = (items as { repository: string }[]).map(({ repository }) => repository);
        expect(told.sort()).toEqual([...names]);
      }
    }
    expect((await report("/usage/repositories", as))["count"]).toBe(names.length);
    const ages = (await report("/usage/ages", as))["items"] as { manifests: number }[];
    expect(ages.reduce((sum, { manifests }) => sum + manifests, 0)).toBe(names.length);
    const { items } = await report("/usage/blobs", as);
    const holders = (items as { repositories: string[] }[]).flatMap((one) => one.repositories);
    expect([...new Set(holders)].filter((name) => !names.includes(name))).toEqual([]);
    const others = all.map((name) => `${name}:v1`).join(",");
    const { unknown } = await report(`/deletions/preview?of=${others}`, as);
    const unseen = all.filter((name) => !names.includes(name)).map((name) => `${name}:v1`);
    expect(unknown).toEqual(unseen);
  });

  test("a repository shares with those that the caller may see, and with others", async () => {
    const path = "/repositories/team-a/app/-/usage";
    const shared = async (as: string): Promise<unknown> => {
      const { sharedWith, isSharedWithMore } = await report(path, as);
      const names = (sharedWith as { repository: string }[]).map(({ repository }) => repository);
      return [names.sort(), isSharedWithMore];
    };
    expect(await shared("alice")).toEqual([["public/app"], true]);
    expect(await shared("ops")).toEqual([["other/app", "public/app", "team-b/app"], false]);
  });
});

test("the log and the audit name the user", async () => {
  lines.length = 0;
  await ask("/api/v1/collection/start", "mallory", { method: "POST" });
  const headers = { "X-Plimsoll": "1" };
  await ask("/api/v1/collection/stop", "ops", { method: "POST", headers });
  const audits = lines.filter(({ message }) => message === "audit").map(({ fields }) => fields);
  expect(audits).toMatchObject([
    { action: "startCollection", by: "mallory", outcome: "refused: DENIED" },
    { action: "stopCollection", by: "ops" },
  ]);
  const users = lines.filter(({ message }) => message.startsWith("response completed"));
  expect(users.map(({ fields }) => fields["auth.user.name"])).toEqual(["mallory", "ops"]);
});

test("a layer that need not be here tells nothing of who has it", async () => {
  // Whoever may push could ask for any digest so.
  const secret = "only in team-b";
  const path = `/v2/team-b/app/blobs/uploads/?digest=${digestOf(secret)}`;
  expect((await ask(path, "bob", { method: "POST", body: secret })).status).toBe(201);
  const put = async (name: string, as: string, layer: object): Promise<void> => {
    const body = JSON.stringify({
      ...(JSON.parse(manifest) as object),
      layers: [{ digest: digestOf(secret), size: secret.length, ...layer }],
    });
    const headers = { "Content-Type": "application/vnd.oci.image.manifest.v1+json" };
    const response = await ask(`/v2/${name}/manifests/foreign`, as, {
      method: "PUT",
      body,
      headers,
    });
    expect(response.status).toBe(201);
  };
  await put("team-b/app", "bob", { mediaType: "application/vnd.oci.image.layer.v1.tar" });
  await put("team-a/app", "alice", {
    mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar",
    urls: ["https://example.com/layer"],
  });
  const layerAs = async (as: string): Promise<unknown> => {
    const response = await ask("/api/v1/repositories/team-a/app/-/images/foreign", as);
    return ((await response.json()) as { layers: unknown[] }).layers[0];
  };
  expect(await layerAs("alice")).toMatchObject({ storedBytes: null, usedBy: null });
  const usage = await ask("/api/v1/repositories/team-a/app/-/images/foreign/usage", "alice");
  const { logicalBytes } = (await usage.json()) as { logicalBytes: number };
  const whole = await ask("/v2/team-a/app/manifests/foreign", "alice");
  expect(logicalBytes).toBe((await whole.bytes()).byteLength + config.length);
  expect(await layerAs("ops")).toMatchObject({
    storedBytes: secret.length,
    usedBy: { repositories: ["team-b/app"] },
  });
});
