// auth.issuer: the registry's own /auth/token, asked as clients ask it. The sequences are those of
// docker's engine and command line, by distribution's client (registry/client/auth/session.go).
import { describe, expect, test } from "bun:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { withParameter } from "../harness.ts";
import { documentedRules, type Guarded, startGuarded, withIssuer, withLogin } from "./guarded.ts";

const rules = `${withIssuer}\n${documentedRules}`;

interface Answer {
  readonly token?: string;
  readonly access_token: string;
  readonly expires_in: number;
  readonly issued_at: string;
  readonly scope: string;
}

async function ask(guarded: Guarded, query: string, as: string | null): Promise<Answer> {
  const response = await guarded.ask(`/auth/token?${query}`, as);
  expect(response.status).toBe(200);
  expect(response.headers.get("cache-control")).toBe("no-store");
  return (await response.json()) as Answer;
}

function form(guarded: Guarded, fields: Record<string, string>): Promise<Response> {
  const body = new URLSearchParams(fields);
  return guarded.harness.ask("/auth/token", { method: "POST", body });
}

describe("asked by GET", () => {
  test("grants what may be granted, and says so", async () => {
    await using guarded = await startGuarded(rules);
    const { token = "", ...answer } = await ask(
      guarded,
      "account=alice&service=plimsoll&scope=repository:team-a/app:pull,push,fly&scope=repository:public/app:pull,push%20repository:other/app:pull&scope=registry:catalog:*&scope=registry:admin:*&scope=nonsense&client_id=docker",
      "alice:pw",
    );
    const issuedAtMs = guarded.clock.nowMs;
    expect(answer).toEqual({
      access_token: token,
      expires_in: 60,
      issued_at: new Date(issuedAtMs).toISOString(),
      scope: "repository:team-a/app:pull,push repository:public/app:pull registry:catalog:*",
    });
    const second = Math.floor(issuedAtMs / 1_000);
    expect(decodeJwt(token)).toMatchObject({
      iss: "plimsoll",
      aud: "plimsoll",
      sub: "alice",
      iat: second,
      nbf: second,
      exp: second + 60,
      access: [
        { type: "repository", name: "team-a/app", actions: ["pull", "push"] },
        { type: "repository", name: "public/app", actions: ["pull"] },
        { type: "registry", name: "catalog", actions: ["*"] },
      ],
    });
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: "ES256", typ: "JWT" });
  });

  test("nobody gets what everybody may", async () => {
    await using guarded = await startGuarded(rules);
    const { scope, token = "" } = await ask(guarded, "scope=repository:public/app:pull,push", null);
    expect([scope, decodeJwt(token).sub]).toEqual(["repository:public/app:pull", ""]);
    expect((await guarded.ask("/v2/", token)).status).toBe(200);
    expect((await guarded.ask("/v2/public/app/tags/list", token)).status).toBe(404);
  });

  test.each(["alice:wrong", "nobody:pw", "some.bearer.token"])("%s: 401", async (as) => {
    await using guarded = await startGuarded(rules);
    const response = await guarded.ask("/auth/token?scope=repository:public/app:pull", as);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe('Basic realm="basic-realm"');
    expect(await response.json()).toMatchObject({ errors: [{ code: "UNAUTHORIZED" }] });
  });

  // Else docker login said that it had succeeded, with a token for nobody.
  test.each(["Basic OnB3", "Basic", "Basic %%%", "Basic YWxpY2U=", "Digest x", "Bearer "])(
    "credentials that are none (%s): 401, and no token for nobody",
    async (authorization) => {
      await using guarded = await startGuarded(rules);
      const headers = { Authorization: authorization };
      const response = await guarded.harness.ask("/auth/token", { headers });
      expect(response.status).toBe(401);
    },
  );

  test("an empty header is none", async () => {
    await using guarded = await startGuarded(rules);
    const headers = { Authorization: "" };
    expect((await guarded.harness.ask("/auth/token", { headers })).status).toBe(200);
  });

  test("repository:*:* and * as an action are no master keys", async () => {
    await using guarded = await startGuarded(rules);
    const query = "scope=repository:*:pull&scope=repository:team-a/app:*&scope=repository:a:b:pull";
    expect((await ask(guarded, query, "alice:pw")).scope).toBe(
      "repository:team-a/app:pull,push,delete",
    );
    expect((await ask(guarded, query, "mallory:pw")).scope).toBe("");
  });

  test("there is no such path without an issuer, and no other method", async () => {
    await using guarded = await startGuarded(rules);
    expect((await guarded.ask("/auth/token", null, { method: "PUT", body: "x" })).status).toBe(405);
    const plain = "auth: {htpasswd: {realm: r, path: DIR/htpasswd}}";
    await using without = await startGuarded(plain);
    expect((await without.ask("/auth/token", "alice:pw")).status).toBe(404);
  });
});

describe("asked by POST, as OAuth2 clients do", () => {
  const password = { grant_type: "password", username: "alice", password: "pw" };

  test("a password without a name grants nothing", async () => {
    await using guarded = await startGuarded(rules);
    expect((await form(guarded, { ...password, username: "" })).status).toBe(401);
    const nobody = await form(guarded, { grant_type: "password" });
    expect(nobody.status).toBe(401);
  });

  test("a password grants a token", async () => {
    await using guarded = await startGuarded(rules);
    const scope = "repository:team-a/app:pull,push repository:other/app:pull";
    const more = { service: "plimsoll", client_id: "containerd-client", access_type: "offline" };
    const response = await form(guarded, { ...password, ...more, scope });
    expect(response.status).toBe(200);
    const answer = (await response.json()) as Answer;
    expect(answer.scope).toBe("repository:team-a/app:pull,push");
    expect(answer).not.toHaveProperty("refresh_token");
    const begun = await guarded.ask("/v2/team-a/app/blobs/uploads/", answer.access_token, {
      method: "POST",
    });
    expect(begun.status).toBe(202);
  });

  test("a wrong one does not; refresh tokens are not known; nor are other bodies, or long ones", async () => {
    await using guarded = await startGuarded(rules);
    expect((await form(guarded, { ...password, password: "no" })).status).toBe(401);
    const refresh = { grant_type: "refresh_token", refresh_token: "x" };
    expect((await form(guarded, refresh)).status).toBe(400);
    const json = { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } };
    expect((await guarded.harness.ask("/auth/token", json)).status).toBe(400);
    expect((await form(guarded, { ...password, scope: "x".repeat(70_000) })).status).toBe(413);
  });
});

/** `Bearer a="b",c="d"` as docker parses it. */
function parametersOf(challenge: string | null): Record<string, string> {
  expect(challenge).toStartWith("Bearer ");
  return Object.fromEntries(
    [...(challenge ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [
      name,
      value,
    ]),
  );
}

async function tokenBy(challenge: string | null, as: string | null, scopes: string[]) {
  const { realm = "", service = "" } = parametersOf(challenge);
  const url = new URL(realm);
  url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (as !== null) url.searchParams.set("account", as.split(":")[0] ?? "");
  const response = await fetch(url, { headers: withLogin(as) });
  return { status: response.status, ...((await response.json()) as Partial<Answer>) };
}

describe("docker", () => {
  test("login: the ping's challenge, then a token with the password, then the ping again", async () => {
    await using guarded = await startGuarded(rules);
    const ping = await guarded.ask("/v2/", null);
    expect(ping.status).toBe(401);
    const challenge = ping.headers.get("www-authenticate");
    const login = await tokenBy(challenge, "alice:pw", []);
    expect(login.status).toBe(200);
    expect((await guarded.ask("/v2/", login.token ?? "")).status).toBe(200);
    expect((await tokenBy(challenge, "alice:no", [])).status).toBe(401);
  });

  test("push: HEAD of a blob, mount, upload, manifest, all with the token of the first challenge", async () => {
    await using guarded = await startGuarded(rules);
    const ping = await guarded.ask("/v2/", null);
    const scopes = ["repository:team-a/app:pull,push", "repository:public/app:pull"];
    const challenge = ping.headers.get("www-authenticate");
    const { token = "" } = await tokenBy(challenge, "alice:pw", scopes);
    const content = '{"os":"linux"}';
    const digest = `sha256:${new Bun.CryptoHasher("sha256").update(content).digest("hex")}`;
    const base = "/v2/team-a/app";
    expect((await guarded.ask(`${base}/blobs/${digest}`, token, { method: "HEAD" })).status).toBe(
      404,
    );
    const mount = `${base}/blobs/uploads/?from=public%2Fapp&mount=${encodeURIComponent(digest)}`;
    const begun = await guarded.ask(mount, token, { method: "POST" });
    expect(begun.status).toBe(202);
    const go = (location: string, init: RequestInit): Promise<Response> =>
      guarded.harness.go(location, { ...init, headers: withLogin(token, init) });
    const patched = await go(begun.headers.get("location") ?? "", {
      method: "PATCH",
      body: content,
    });
    expect(patched.status).toBe(202);
    const end = withParameter(patched.headers.get("location"), "digest", digest);
    expect((await go(end, { method: "PUT" })).status).toBe(201);
    expect((await guarded.ask(`${base}/blobs/${digest}`, token, { method: "HEAD" })).status).toBe(
      200,
    );
    const config = {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest,
      size: content.length,
    };
    const type = "application/vnd.oci.image.manifest.v1+json";
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: type, config, layers: [] });
    const put = { method: "PUT", body: manifest, headers: { "Content-Type": type } };
    expect((await guarded.ask(`${base}/manifests/v1`, token, put)).status).toBe(201);
    // The same with a token that has run out: the challenge says so, and a new one goes on.
    guarded.clock.nowMs += 121_000;
    const late = await guarded.ask(`${base}/manifests/v1`, token, { method: "HEAD" });
    expect(late.status).toBe(401);
    const said = parametersOf(late.headers.get("www-authenticate"));
    expect(said).toMatchObject({ scope: "repository:team-a/app:pull", error: "invalid_token" });
    const again = await tokenBy(late.headers.get("www-authenticate"), "alice:pw", [
      said["scope"] ?? "",
    ]);
    expect((await guarded.ask(`${base}/manifests/v1`, again.token ?? "")).status).toBe(200);
  });

  test("who may not push is refused with the reason; who is not logged in is asked to be", async () => {
    await using guarded = await startGuarded(rules);
    const ping = await guarded.ask("/v2/", null);
    const push = async (as: string | null): Promise<Response> => {
      const challenge = ping.headers.get("www-authenticate");
      const { token = "" } = await tokenBy(challenge, as, ["repository:team-a/app:pull,push"]);
      return await guarded.ask("/v2/team-a/app/blobs/uploads/", token, { method: "POST" });
    };
    const refused = await push("mallory:pw");
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ errors: [{ code: "DENIED" }] });
    const unknown = await push(null);
    expect(unknown.status).toBe(401);
    expect(parametersOf(unknown.headers.get("www-authenticate"))["error"]).toBe(
      "insufficient_scope",
    );
  });

  test("a user who is removed is out at once, with every token", async () => {
    await using guarded = await startGuarded(rules);
    const { token = "" } = await ask(guarded, "scope=repository:team-a/app:pull", "alice:pw");
    expect((await guarded.ask("/v2/team-a/app/tags/list", token)).status).toBe(404);
    await Bun.write(`${guarded.directory}/htpasswd`, "");
    guarded.clock.nowMs += 1_000;
    expect((await guarded.ask("/v2/team-a/app/tags/list", token)).status).toBe(401);
    expect((await guarded.ask("/v2/", "alice:pw")).status).toBe(401);
  });
});

test("realm, service and issuer are as configured; http.prefix stands before the path", async () => {
  const issuer = `{realm: "https://r.example.com/auth/token", service: s, issuer: i}`;
  const yaml = `auth: {htpasswd: {realm: r, path: DIR/htpasswd}, issuer: ${issuer}}\nhttp: {prefix: /reg}`;
  await using guarded = await startGuarded(yaml);
  const ping = await guarded.ask("/reg/v2/", null);
  expect(ping.headers.get("www-authenticate")).toBe(
    'Bearer realm="https://r.example.com/auth/token",service="s"',
  );
  const answer = (await (await guarded.ask("/reg/auth/token", "alice:pw")).json()) as Answer;
  expect(decodeJwt(answer.access_token)).toMatchObject({ iss: "i", aud: "s" });
  expect((await guarded.ask("/auth/token", "alice:pw")).status).toBe(404);
  const own = "auth: {htpasswd: {realm: r, path: DIR/htpasswd}, issuer: }\nhttp: {prefix: /reg}";
  await using plain = await startGuarded(own);
  const headers = { "X-Forwarded-Proto": "https", "X-Forwarded-Host": "r.example.com" };
  const behind = await plain.harness.ask("/reg/v2/", { headers });
  expect(behind.headers.get("www-authenticate")).toBe(
    'Bearer realm="https://r.example.com/reg/auth/token",service="plimsoll"',
  );
});
