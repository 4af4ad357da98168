// Each part of a server that takes other settings while it serves; what is refused; whole or nothing.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certify, handshake, makeCa } from "../support/certificates.ts";
import { pushBlob, pushImage, sha256, startReloaded } from "./reloaded.ts";

const basic = (user: string): Record<string, string> => ({
  Authorization: `Basic ${btoa(`${user}:pw`)}`,
});
const htpasswd = (directory: string, name: string, ...users: string[]): string => {
  const path = join(directory, name);
  const hash = Bun.password.hashSync("pw", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(path, users.map((user) => `${user}:${hash}\n`).join(""));
  return path;
};
const status = async (url: string, headers: Record<string, string> = {}): Promise<number> => {
  const response = await fetch(url, { headers });
  await response.arrayBuffer();
  return response.status;
};

describe("access", () => {
  const rules = (path: string, users: string): string =>
    `auth: {htpasswd: {realm: r, path: ${path}}}\naccess: [{repositories: ["a/**"], users: [${users}], actions: [pull, push]}]`;

  test("other rules, other users, none at all: what was remembered goes with them", async () => {
    await using served = await startReloaded((directory) =>
      rules(htpasswd(directory, "users", "alice", "bob"), "alice"),
    );
    const { origin, directory } = served;
    const tags = `${origin}/v2/a/x/tags/list`;
    expect((await pushImage({ origin, headers: basic("alice") }, "a/x:1", "one")).status).toBe(201);
    expect(await status(tags, basic("bob"))).toBe(403);

    const users = join(directory, "users");
    expect(await served.reload(rules(users, "bob"))).toMatchObject({ applied: ["access"] });
    expect(await status(tags, basic("alice"))).toBe(403);
    expect(await status(tags, basic("bob"))).toBe(200);

    const others = htpasswd(directory, "others", "alice");
    await served.reload(rules(others, "alice, bob"));
    expect(await status(tags, basic("bob"))).toBe(401);
    expect(await status(tags, basic("alice"))).toBe(200);

    expect(await served.reload("")).toMatchObject({ ok: true });
    expect(await status(tags)).toBe(200);
    await served.reload(rules(users, "bob"));
    expect(await status(tags)).toBe(401);
  });

  test("other rules cost nobody another check of the password", async () => {
    await using served = await startReloaded((directory) => {
      const hash = Bun.password.hashSync("pw", { algorithm: "bcrypt", cost: 13 });
      writeFileSync(join(directory, "users"), `alice:${hash}\n`);
      return rules(join(directory, "users"), "alice");
    });
    const timed = async (): Promise<number> => {
      const begunMs = performance.now();
      await status(`${served.origin}/v2/`, basic("alice"));
      return performance.now() - begunMs;
    };
    const firstMs = await timed();
    await served.reload(rules(join(served.directory, "users"), "alice, bob"));
    expect(await timed()).toBeLessThan(firstMs / 2);
  });

  test("a stream of events ends with the rules that it was allowed by", async () => {
    const admins = (path: string, users: string): string =>
      `auth: {htpasswd: {realm: r, path: ${path}}}\naccess: [{users: [${users}], actions: [admin]}]`;
    await using served = await startReloaded((directory) =>
      admins(htpasswd(directory, "users", "alice"), "alice"),
    );
    const url = `${served.origin}/api/v1/collection/events`;
    const stream = await fetch(url, { headers: basic("alice") });
    expect(stream.status).toBe(200);
    await served.reload(admins(join(served.directory, "users"), "bob"));
    expect(await stream.text()).toContain("event: status");
    expect(await status(url, basic("alice"))).toBe(403);
  });

  test("tokens of the own issuer outlive it, and are worth what the new rules allow", async () => {
    await using served = await startReloaded((directory) => {
      htpasswd(directory, "users", "alice");
      return rules(join(directory, "users"), "alice").replace(
        "}}\n",
        "}, issuer: {expiration: 5m}}\n",
      );
    });
    const { origin, directory } = served;
    await pushImage({ origin, headers: basic("alice") }, "a/x:1", "one");
    const asked = `${origin}/auth/token?service=plimsoll&scope=repository:a/x:pull`;
    const answer = await fetch(asked, { headers: basic("alice") });
    const { token } = (await answer.json()) as { token: string };
    const bearer = { Authorization: `Bearer ${token}` };
    const tags = `${origin}/v2/a/x/tags/list`;
    expect(await status(tags, bearer)).toBe(200);
    const path = join(directory, "users");
    const withIssuer = (users: string): string =>
      rules(path, users).replace("}}\n", "}, issuer: {expiration: 6m}}\n");
    expect(await served.reload(withIssuer("alice, carol"))).toMatchObject({
      applied: ["auth.issuer.expiration", "access"],
    });
    expect(await status(tags, bearer)).toBe(200);
    await served.reload(withIssuer("carol"));
    expect(await status(tags, bearer)).toBe(403);
  });
});

describe("whole or nothing", () => {
  test("a bad file, and one whose passwords cannot be read, change nothing and say why", async () => {
    const small = 'quotas: [{name: q, repositories: ["**"], bytes: 1B}]';
    await using served = await startReloaded(() => small);
    const { directory, origin } = served;
    expect((await pushBlob({ origin }, "a/x", "four")).status).toBe(403);
    const bad = await served.reload("quotas: []\ngc: {interval: never}");
    expect(bad).toMatchObject({ ok: false });
    expect(served.lines.at(-1)).toMatch(
      /level=error .*configuration was not reloaded, and what it was stays.*gc\.interval/,
    );
    // The quota would be gone, were it not for the file of passwords.
    const missing = join(directory, "missing");
    const half = `quotas: []\nlog: {level: error}\nauth: {htpasswd: {realm: r, path: ${missing}}}`;
    expect(await served.reload(half)).toMatchObject({ ok: false });
    expect(served.lines.at(-1)).toContain(`auth.htpasswd.path: ${missing} cannot be read`);
    expect((await pushBlob({ origin }, "a/x", "four")).status).toBe(403);
    expect(await status(`${origin}/v2/`)).toBe(200);
    const keys = `auth: {token: {realm: "https://t/", service: s, issuer: i, jwks: ${missing}}}`;
    expect(await served.reload(`quotas: []\n${keys}`)).toMatchObject({ ok: false });
    expect(served.lines.at(-1)).toContain(missing);
    expect((await pushBlob({ origin }, "a/x", "four")).status).toBe(403);
    // And it can still be mended.
    expect(await served.reload("quotas: []")).toMatchObject({ ok: true, applied: ["quotas"] });
    expect((await pushBlob({ origin }, "a/x", "four")).status).toBe(201);
  });

  test("what needs a restart is named each time, and the rest is applied", async () => {
    await using served = await startReloaded(() => "catalog: {maxentries: 5}");
    const change = "catalog: {maxentries: 6}\nindex: {exclusive: true}";
    const outcome = await served.reload(change, { http: ", host: https://h" });
    expect(outcome).toMatchObject({
      applied: ["catalog.maxentries"],
      needsRestart: ["http.host", "index.exclusive"],
    });
    expect(served.lines.filter((line) => line.includes("needs a restart"))).toHaveLength(2);
    expect(served.lines.join()).toContain(
      'level=warning msg="http.host has changed and needs a restart"',
    );
    const again = await served.reload(change, { http: ", host: https://h" });
    expect(again).toMatchObject({ applied: [], needsRestart: ["http.host", "index.exclusive"] });
  });

  test("two at once are one after the other, and the last one counts", async () => {
    await using served = await startReloaded(() => "");
    const first = served.reload("log: {level: warn}");
    const second = served.reload("log: {level: info}\ntags: {maxtags: 7}");
    expect((await first).ok).toBe(true);
    expect((await second).ok).toBe(true);
    const third = served.serving.reload();
    await served.stop();
    // Begun before or refused: it is over either way, and nothing is begun after the stop.
    await third;
    expect(await served.serving.reload()).toMatchObject({
      ok: false,
      problem: "the registry is stopping",
    });
  });
});

describe("the other parts", () => {
  test("quotas, immutable tags, and how many tags a page has", async () => {
    await using served = await startReloaded(() => "");
    const { origin } = served;
    expect((await pushImage({ origin }, "a/x:v1", "one")).status).toBe(201);
    expect((await pushImage({ origin }, "a/x:v1", "two")).status).toBe(201);
    const immutable = 'immutable: [{name: i, repositories: ["**"], tags: ["v*"]}]';
    await served.reload(`${immutable}\ntags: {maxtags: 1}`);
    expect((await pushImage({ origin }, "a/x:v1", "three")).status).toBe(403);
    expect((await pushImage({ origin }, "a/x:w1", "three")).status).toBe(201);
    const page = await fetch(`${origin}/v2/a/x/tags/list?n=10`);
    expect(((await page.json()) as { tags: string[] }).tags).toEqual(["v1"]);
    await served.reload("");
    expect((await pushImage({ origin }, "a/x:v1", "three")).status).toBe(201);
  });

  test("limits of clients, and of what is pushed", async () => {
    await using served = await startReloaded(() => "");
    const { origin } = served;
    expect((await pushBlob(served, "a/x", "four")).status).toBe(201);
    const http = ", limits: {blobsize: 3B, address: {requests: 1, burst: 2}}";
    expect(await served.reload("", { http })).toMatchObject({
      applied: [
        "http.limits.address.requests",
        "http.limits.address.burst",
        "http.limits.blobsize",
      ],
      needsRestart: [],
    });
    expect((await pushBlob(served, "a/x", "five!")).status).toBe(413);
    expect([await status(`${origin}/v2/`), await status(`${origin}/v2/`)]).toEqual([200, 429]);
    await served.reload("");
    expect(await status(`${origin}/v2/`)).toBe(200);
    expect((await pushBlob(served, "a/x", "five!")).status).toBe(201);
  });

  test("the log's level and fields", async () => {
    await using served = await startReloaded(() => "");
    await served.reload("log: {level: error}");
    const quiet = served.lines.length;
    await status(`${served.origin}/v2/`);
    expect(served.lines).toHaveLength(quiet);
    await served.reload("log: {level: info, formatter: json, fields: {team: a}}");
    await status(`${served.origin}/v2/`);
    expect(JSON.parse(served.lines.at(-1) ?? "")).toMatchObject({ team: "a" });
  });

  test("health checks", async () => {
    await using served = await startReloaded(() => "");
    const down = join(served.directory, "down");
    writeFileSync(down, "");
    expect(await status(`${served.origin}/v2/`)).toBe(200);
    await served.reload(`health: {file: [{file: ${down}, interval: 1s}]}`);
    await Bun.sleep(50);
    expect(await status(`${served.origin}/v2/`)).toBe(503);
    expect(await status(`${served.debugOrigin}/debug/health`)).toBe(503);
    await served.reload("");
    expect(await status(`${served.origin}/v2/`)).toBe(200);
  });

  test("collection and how long deletions are kept", async () => {
    await using served = await startReloaded(() => "gc: {keepdeleted: 24h}");
    const { origin } = served;
    const push = await pushImage({ origin }, "a/x:1", "one");
    const digest = push.headers.get("docker-content-digest");
    await served.reload("gc: {keepdeleted: 1ms, grace: 1ms, enabled: false}");
    await fetch(`${origin}/v2/a/x/manifests/${digest}`, { method: "DELETE" });
    // By the API, whose defaults are the configuration's.
    await Bun.sleep(20);
    const headers = { "Content-Type": "application/json", "X-Plimsoll": "1" };
    await fetch(`${origin}/api/v1/collection/start`, { method: "POST", headers, body: "{}" });
    await Bun.sleep(200);
    expect(await status(`${origin}/v2/a/x/blobs/${sha256("one")}`)).toBe(404);
  });

  test("certificates are looked at at once", async () => {
    const directory = mkdtempSync(join(tmpdir(), "plimsoll-reload-"));
    const ca = makeCa(directory, "ca");
    const first = certify(directory, { ca, name: "first" });
    const second = certify(directory, { ca, name: "second" });
    const http = `, tls: {certificate: ${first.certificate}, key: ${first.key}}`;
    await using served = await startReloaded(() => "", { directory, http });
    const met = async (): Promise<string | undefined> =>
      (await handshake(Number(new URL(served.origin).port)))?.commonName;
    expect(await met()).toBe("first");
    renameSync(second.certificate, first.certificate);
    renameSync(second.key, first.key);
    const begunMs = performance.now();
    expect(await served.reload("", { http })).toMatchObject({ ok: true, applied: [] });
    expect(await met()).toBe("second");
    // By themselves they are looked at every two seconds, and taken after the next look.
    expect(performance.now() - begunMs).toBeLessThan(2_000);
    const more = await served.reload("", {
      http: http.replace("tls: {", "tls: {minimumtls: tls1.3, "),
    });
    expect(more).toMatchObject({ needsRestart: ["http.tls.minimumtls"] });
  });

  test("the load line", async () => {
    const line = (refuse: string): string =>
      `, maxsize: 1000B, watermark: {warn: 10%, collect: 10%, refuse: ${refuse}}`;
    await using served = await startReloaded(() => "gc: {grace: 1h}", { storage: line("90%") });
    const push = async (text: string): Promise<number> =>
      (await pushBlob(served, "a/x", text)).status;
    expect(await push("x".repeat(300))).toBe(201);
    const lower = await served.reload("gc: {grace: 1h}", { storage: line("20%") });
    expect(lower).toMatchObject({ applied: ["storage.watermark.refuse"] });
    expect(await push("y".repeat(300))).toBe(507);
    await served.reload("gc: {grace: 1h}", { storage: line("90%") });
    expect(await push("y".repeat(300))).toBe(201);
  });
});
