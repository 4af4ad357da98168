// Challenges and refusals to the letter: what the classic registry (2.8.2, asked with curl) answers to
// the same requests.
import { describe, expect, test } from "bun:test";
import { documentedRules, htpasswdOnly, startGuarded } from "./guarded.ts";

const pull = (name: string) => ({ Type: "repository", Class: "", Name: name, Action: "pull" });
const push = (name: string) => ({ ...pull(name), Action: "push" });
const catalogue = { Type: "registry", Class: "", Name: "catalog", Action: "*" };
const remove = { ...pull("app"), Action: "delete" };

const asked: readonly (readonly [method: string, path: string, detail: unknown, scope: string])[] =
  [
    ["GET", "/v2/", null, ""],
    ["GET", "/v2/_catalog", [catalogue], "registry:catalog:*"],
    ["GET", "/v2/app/manifests/x", [pull("app")], "repository:app:pull"],
    ["DELETE", "/v2/app/manifests/x", [remove], "repository:app:delete"],
    ["OPTIONS", "/v2/app/manifests/x", null, ""],
    [
      "POST",
      "/v2/app/blobs/uploads/?mount=sha256:aaa&from=other",
      [pull("app"), push("app"), pull("other")],
      "repository:app:pull,push repository:other:pull",
    ],
  ];

const jwks = `{"keys":[]}`;
const tokenServer = `auth: {token: {realm: "https://auth.example.com/token", service: reg.example.com, issuer: iss, jwks: DIR/jwks}}`;
const withJwks = {
  prepare: (directory: string) => void Bun.write(`${directory}/jwks`, jwks),
};

async function body(response: Response): Promise<unknown> {
  return await response.json();
}

function unauthorized(detail: unknown): object {
  return { errors: [{ code: "UNAUTHORIZED", message: "authentication required", detail }] };
}

describe("as the classic registry answers", () => {
  test.each(asked)("htpasswd: %s %s", async (method, path, detail) => {
    await using guarded = await startGuarded(htpasswdOnly);
    for (const as of [null, "alice:wrong"]) {
      const response = await guarded.ask(path, as, { method });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe('Basic realm="basic-realm"');
      expect(response.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
      expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
      expect(await body(response)).toEqual(unauthorized(detail));
    }
  });

  test.each(asked)("token: %s %s", async (...[method, path, detail, scope]) => {
    await using guarded = await startGuarded(tokenServer, withJwks);
    const start = `Bearer realm="https://auth.example.com/token",service="reg.example.com"`;
    const scoped = scope === "" ? start : `${start},scope="${scope}"`;
    const challenge = async (as: string | null): Promise<string | null> => {
      const response = await guarded.ask(path, as, { method });
      expect(response.status).toBe(401);
      expect(await body(response)).toEqual(unauthorized(detail));
      return response.headers.get("www-authenticate");
    };
    expect(await challenge(null)).toBe(scoped);
    expect(await challenge("alice:pw")).toBe(scoped);
    expect(await challenge("a.b.c")).toBe(`${scoped},error="invalid_token"`);
  });

  test.each(["Basic zzz", "Basic", "Basic ", "Bearer", "Bearer ", "Digest x", "Basic OnB3"])(
    "Authorization: %s counts as nothing",
    async (header) => {
      await using guarded = await startGuarded(htpasswdOnly);
      const response = await guarded.harness.ask("/v2/", { headers: { Authorization: header } });
      expect(response.status).toBe(401);
    },
  );

  test("the scheme's letters may be of any case; a password may hold colons and be UTF-8", async () => {
    await using guarded = await startGuarded(htpasswdOnly, {
      prepare: (directory) => {
        const hash = Bun.password.hashSync("a:b:ü", { algorithm: "bcrypt", cost: 4 });
        void Bun.write(`${directory}/htpasswd`, `alice:${hash}\n`);
      },
    });
    const value = Buffer.from("alice:a:b:ü").toString("base64");
    const headers = { Authorization: `bAsIc ${value}` };
    expect((await guarded.harness.ask("/v2/", { headers })).status).toBe(200);
  });

  test("the root and what is nowhere need nobody", async () => {
    await using guarded = await startGuarded(htpasswdOnly);
    expect((await guarded.ask("/", null)).status).toBe(200);
    expect((await guarded.ask("/v2/nothing", null)).status).toBe(404);
  });
});

test("who is known and may not is told so: 403, and what was needed", async () => {
  await using guarded = await startGuarded(`${htpasswdOnly}\n${documentedRules}`);
  const response = await guarded.ask("/v2/team-a/app/manifests/v1", "mallory:pw", {
    method: "PUT",
    body: "{}",
  });
  expect(response.status).toBe(403);
  expect(response.headers.get("www-authenticate")).toBeNull();
  expect(guarded.harness.accesses.at(-1)).toMatchObject({ user: "mallory", status: 403 });
  // What a mount would have liked is nobody's reason.
  const mount = "/v2/team-a/app/blobs/uploads/?mount=sha256:aaa&from=other/app";
  const { errors } = (await (
    await guarded.ask(mount, "mallory:pw", { method: "POST" })
  ).json()) as {
    errors: { message: string }[];
  };
  expect(errors[0]?.message).toEndWith("mallory may not pull and push in team-a/app");
  expect(await body(response)).toEqual({
    errors: [
      {
        code: "DENIED",
        message:
          "requested access to the resource is denied: mallory may not pull and push in team-a/app",
        detail: [pull("team-a/app"), push("team-a/app")],
      },
    ],
  });
});
