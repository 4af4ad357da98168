// auth.token: what a token server has signed, with every kind of key, and everything that can be wrong
// with a token. Certificates are made by openssl.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importPKCS8,
  type JWK,
  SignJWT,
} from "jose";
import { type Guarded, startGuarded } from "./guarded.ts";

const directory = mkdtempSync(join(tmpdir(), "plimsoll-token-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function openssl(...args: string[]): Promise<void> {
  const child = Bun.spawn(["openssl", ...args], {
    cwd: directory,
    stdout: "ignore",
    stderr: "pipe",
  });
  if ((await child.exited) !== 0) throw new Error(await child.stderr.text());
}

/** A certificate that signs itself. */
async function selfSigned(name: string, key: readonly string[], called = name): Promise<void> {
  const files = ["-keyout", `${name}.key`, "-out", `${name}.pem`];
  await openssl(
    "req",
    "-x509",
    ...key,
    "-nodes",
    "-subj",
    `/CN=${called}`,
    "-days",
    "30",
    ...files,
  );
}

const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

beforeAll(async () => {
  await selfSigned("rsa", ["-newkey", "rsa:2048"]);
  await selfSigned("ec", ec);
  await selfSigned("ed", ["-newkey", "ed25519"]);
  await selfSigned("stranger", ec);
  // A chain: ec is the authority of `middle`, which is the one of `leaf`.
  await issued("middle", "ec", "basicConstraints=critical,CA:TRUE");
  await issued("leaf", "middle", "basicConstraints=critical,CA:FALSE");
  await issued("child-of-leaf", "leaf", "basicConstraints=critical,CA:TRUE");
  // An authority that only calls itself by the name of the right one.
  await selfSigned("fake", ec, "ec");
  await issued("forged", "fake", "authorityKeyIdentifier=none");
});

async function issued(name: string, by: string, extension: string): Promise<void> {
  await openssl(
    "req",
    "-new",
    ...ec,
    "-nodes",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.csr`,
  );
  writeFileSync(join(directory, `${name}.ext`), `${extension}\n`);
  const authority = ["-CA", `${by}.pem`, "-CAkey", `${by}.key`, "-CAcreateserial"];
  await openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    ...authority,
    "-days",
    "10",
    "-extfile",
    `${name}.ext`,
    "-out",
    `${name}.pem`,
  );
}

const file = (name: string): string => readFileSync(join(directory, name), "utf8");

function derOf(name: string): string {
  return new X509Certificate(file(`${name}.pem`)).raw.toString("base64");
}

/** As libtrust names a key; written otherwise than in the product. */
function libtrustId(name: string): string {
  const der = new X509Certificate(file(`${name}.pem`)).publicKey.export({
    type: "spki",
    format: "der",
  });
  const bits = [...createHash("sha256").update(der).digest().subarray(0, 30)]
    .map((byte) => byte.toString(2).padStart(8, "0"))
    .join("");
  const letters = bits
    .match(/.{5}/g)
    ?.map((five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[Number.parseInt(five, 2)]);
  return (letters?.join("").match(/.{4}/g) ?? []).join(":");
}

const server = (more = "rootcertbundle: DIR/bundle.pem, jwks: DIR/jwks.json"): string =>
  `auth: {token: {realm: "https://a.example.com/token", service: reg, issuer: iss, ${more}}}`;

let jwksKey: Awaited<ReturnType<typeof generateKeyPair>>;
let jwks: { keys: JWK[] };
beforeAll(async () => {
  jwksKey = await generateKeyPair("ES384", { extractable: true });
  jwks = { keys: [{ ...(await exportJWK(jwksKey.publicKey)), kid: "from-jwks" }] };
});

function start(bundle: readonly string[] = ["rsa", "ec", "ed"], more?: string): Promise<Guarded> {
  return startGuarded(server(more), {
    prepare: (target) => {
      writeFileSync(
        join(target, "bundle.pem"),
        bundle.map((name) => file(`${name}.pem`)).join("\n"),
      );
      writeFileSync(join(target, "jwks.json"), JSON.stringify(jwks));
    },
  });
}

const pullApp = [{ type: "repository", name: "app", actions: ["pull"] }];

interface Made {
  readonly alg: string;
  readonly key: CryptoKey;
  readonly header?: object;
  readonly claims?: Record<string, unknown>;
  readonly access?: unknown;
}

async function made({
  alg,
  key,
  header = {},
  claims = {},
  access = pullApp,
}: Made): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  const payload = {
    iss: "iss",
    aud: "reg",
    sub: "alice",
    exp: now + 60,
    nbf: now - 1,
    access,
    ...claims,
  };
  const given = Object.fromEntries(
    Object.entries(payload).filter(([, value]) => value !== undefined),
  );
  return await new SignJWT(given).setProtectedHeader({ alg, ...header }).sign(key);
}

const privateKey = (name: string, alg: string): Promise<CryptoKey> =>
  importPKCS8(file(`${name}.key`), alg);

async function statusWith(guarded: Guarded, token: string): Promise<string> {
  const response = await guarded.ask("/v2/app/tags/list", token);
  const challenge = response.headers.get("www-authenticate") ?? "";
  return `${response.status} ${/error="(\w+)"/.exec(challenge)?.[1] ?? ""}`.trim();
}
const isIn = "404";

describe("keys", () => {
  test.each([
    ["rsa", "RS256"],
    ["rsa", "RS512"],
    ["rsa", "PS256"],
    ["ec", "ES256"],
    ["ed", "EdDSA"],
  ])(
    "%s %s: named as libtrust does, by its thumbprint, or by the certificate itself",
    async (name, alg) => {
      await using guarded = await start();
      const key = await privateKey(name, alg);
      const { publicKey } = new X509Certificate(file(`${name}.pem`));
      const thumbprint = await calculateJwkThumbprint(publicKey.export({ format: "jwk" }) as JWK);
      for (const header of [
        { kid: libtrustId(name) },
        { kid: thumbprint },
        { x5c: [derOf(name)] },
      ]) {
        expect(await statusWith(guarded, await made({ alg, key, header }))).toBe(isIn);
      }
      const other = { kid: libtrustId("stranger") };
      expect(await statusWith(guarded, await made({ alg, key, header: other }))).toBe(
        "401 invalid_token",
      );
      expect(await statusWith(guarded, await made({ alg, key }))).toBe("401 invalid_token");
    },
  );

  test("of a JSON Web Key Set, by kid; a single key needs no name", async () => {
    await using guarded = await start();
    const { privateKey: key } = jwksKey;
    const kid = "from-jwks";
    expect(await statusWith(guarded, await made({ alg: "ES384", key, header: { kid } }))).toBe(
      isIn,
    );
    await using alone = await start([], "jwks: DIR/jwks.json");
    expect(await statusWith(alone, await made({ alg: "ES384", key }))).toBe(isIn);
  });

  test("certificates that lead to a root of the bundle, and none that do not", async () => {
    await using guarded = await start(["ec"]);
    const leaf = await privateKey("leaf", "ES256");
    const by = async (key: CryptoKey, ...names: string[]): Promise<string> => {
      const header = { x5c: names.map(derOf) };
      return await statusWith(guarded, await made({ alg: "ES256", key, header }));
    };
    expect(await by(leaf, "leaf", "middle")).toBe(isIn);
    expect(await by(leaf, "leaf", "middle", "ec")).toBe(isIn);
    expect(await by(leaf, "leaf")).toBe("401 invalid_token");
    expect(await by(leaf, "leaf", "ec")).toBe("401 invalid_token");
    // What is no authority signs nothing, whatever it says of itself.
    const child = await privateKey("child-of-leaf", "ES256");
    expect(await by(child, "child-of-leaf", "leaf", "middle")).toBe("401 invalid_token");
    const forged = await privateKey("forged", "ES256");
    expect(await by(forged, "forged")).toBe("401 invalid_token");
    expect(await by(forged, "forged", "ec")).toBe("401 invalid_token");
    const stranger = await privateKey("stranger", "ES256");
    expect(await by(stranger, "stranger")).toBe("401 invalid_token");
    expect(await by(stranger, "ec")).toBe("401 invalid_token");
    expect(await by(stranger, "stranger", "ec")).toBe("401 invalid_token");
    const garbage = { x5c: ["not a certificate"] };
    const token = await made({ alg: "ES256", key: stranger, header: garbage });
    expect(await statusWith(guarded, token)).toBe("401 invalid_token");
    guarded.clock.nowMs += 20 * 24 * 3_600_000;
    const later = { exp: Math.floor(guarded.clock.nowMs / 1_000) + 60 };
    const expired = await made({
      alg: "ES256",
      key: leaf,
      header: { x5c: ["leaf", "middle"].map(derOf) },
      claims: later,
    });
    expect(await statusWith(guarded, expired)).toBe("401 invalid_token");
  });

  test("are read again when their files change, and nothing is trusted while those are broken", async () => {
    await using guarded = await start(["ec"], "rootcertbundle: DIR/bundle.pem");
    const token = async (name: string) =>
      await made({
        alg: "ES256",
        key: await privateKey(name, "ES256"),
        header: { kid: libtrustId(name) },
      });
    const [old, young] = [await token("ec"), await token("stranger")];
    const bundle = join(guarded.directory, "bundle.pem");
    expect([await statusWith(guarded, old), await statusWith(guarded, young)]).toEqual([
      isIn,
      "401 invalid_token",
    ]);
    copyFileSync(join(directory, "stranger.pem"), bundle);
    guarded.clock.nowMs += 1_000;
    // Also a token that was found valid a moment ago.
    expect([await statusWith(guarded, old), await statusWith(guarded, young)]).toEqual([
      "401 invalid_token",
      isIn,
    ]);
    writeFileSync(bundle, "broken");
    guarded.clock.nowMs += 1_000;
    expect([await statusWith(guarded, old), await statusWith(guarded, young)]).toEqual([
      "401 invalid_token",
      "401 invalid_token",
    ]);
    expect(guarded.said.join("\n")).toContain("auth.token.rootcertbundle");
  });

  test.each(["broken", "missing"])(
    "a start with a bundle that is %s fails and names it",
    async (how) => {
      const prepare = (target: string): void => {
        if (how === "broken") writeFileSync(join(target, "bundle.pem"), "broken");
      };
      const starting = startGuarded(server("rootcertbundle: DIR/bundle.pem"), { prepare });
      expect(starting).rejects.toThrow("auth.token.rootcertbundle: ");
    },
  );
});

describe("claims", () => {
  const now = Math.floor(Date.now() / 1_000);
  test.each<[string, Record<string, unknown>, string]>([
    ["as they should be", {}, isIn],
    ["several audiences", { aud: ["other", "reg"] }, isIn],
    ["expired within the leeway", { exp: now - 30 }, isIn],
    ["valid a moment later", { nbf: now + 30 }, isIn],
    ["expired", { exp: now - 120 }, "401 invalid_token"],
    ["not valid yet", { nbf: now + 120 }, "401 invalid_token"],
    ["no end", { exp: undefined }, "401 invalid_token"],
    ["another audience", { aud: "other" }, "401 invalid_token"],
    ["no audience", { aud: undefined }, "401 invalid_token"],
    ["another issuer", { iss: "other" }, "401 invalid_token"],
    ["no issuer", { iss: undefined }, "401 invalid_token"],
    ["a subject that is no text", { sub: 7 }, "401 invalid_token"],
    ["a subject that is an object", { sub: { toString: "a" } }, "401 invalid_token"],
    ["no subject", { sub: undefined }, isIn],
    ["no access", { access: undefined }, "401 insufficient_scope"],
  ])("%s: %j is %s", async (_, claims, expected) => {
    await using guarded = await start();
    const header = { kid: libtrustId("ec") };
    const key = await privateKey("ec", "ES256");
    expect(await statusWith(guarded, await made({ alg: "ES256", key, header, claims }))).toBe(
      expected,
    );
  });

  test.each<[unknown, string]>([
    [[{ type: "repository", name: "app", actions: ["pull", "push"] }], isIn],
    [[{ type: "repository", name: "app", actions: ["*"] }], isIn],
    [[{ type: "repository", name: "ap", actions: ["pull"] }], "401 insufficient_scope"],
    [[{ type: "repository", name: "app", actions: ["push"] }], "401 insufficient_scope"],
    [[{ type: "registry", name: "app", actions: ["pull"] }], "401 insufficient_scope"],
    [[{ type: "repository", name: "app" }], "401 insufficient_scope"],
    [[null, 3, { type: "repository", name: "app", actions: [1, "pull"] }], isIn],
    ["repository:app:pull", "401 insufficient_scope"],
    [{}, "401 insufficient_scope"],
  ])("access %j: %s", async (access, expected) => {
    await using guarded = await start();
    const header = { kid: libtrustId("ec") };
    const key = await privateKey("ec", "ES256");
    expect(await statusWith(guarded, await made({ alg: "ES256", key, header, access }))).toBe(
      expected,
    );
  });

  test("a token is believed while it is valid, and not a moment longer", async () => {
    await using guarded = await start();
    const header = { kid: libtrustId("ec") };
    const token = await made({ alg: "ES256", key: await privateKey("ec", "ES256"), header });
    expect(await statusWith(guarded, token)).toBe(isIn);
    guarded.clock.nowMs += 119_000;
    expect(await statusWith(guarded, token)).toBe(isIn);
    guarded.clock.nowMs += 3_000;
    expect(await statusWith(guarded, token)).toBe("401 invalid_token");
  });
});

describe("forgeries", () => {
  test("no signature, another's algorithm, a changed payload", async () => {
    await using guarded = await start();
    const kid = libtrustId("rsa");
    const part = (value: object): string =>
      Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = {
      iss: "iss",
      aud: "reg",
      sub: "a",
      exp: Date.now() / 1_000 + 60,
      access: pullApp,
    };
    expect(await statusWith(guarded, `${part({ alg: "none" })}.${part(claims)}.`)).toBe(
      "401 invalid_token",
    );
    // The public key as if it were a shared secret.
    const secret = new TextEncoder().encode(file("rsa.pem"));
    const confused = await new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", kid })
      .sign(secret);
    expect(await statusWith(guarded, confused)).toBe("401 invalid_token");
    const good = await made({
      alg: "RS256",
      key: await privateKey("rsa", "RS256"),
      header: { kid },
    });
    expect(await statusWith(guarded, good)).toBe(isIn);
    const [head, , signature] = good.split(".");
    expect(await statusWith(guarded, `${head}.${part(claims)}.${signature}`)).toBe(
      "401 invalid_token",
    );
  });

  test("algorithms that are not among signingalgorithms", async () => {
    await using guarded = await start(
      ["rsa"],
      "rootcertbundle: DIR/bundle.pem, signingalgorithms: [RS512]",
    );
    const header = { kid: libtrustId("rsa") };
    const by = async (alg: string): Promise<string> =>
      await statusWith(guarded, await made({ alg, key: await privateKey("rsa", alg), header }));
    expect(await by("RS256")).toBe("401 invalid_token");
    expect(await by("RS512")).toBe(isIn);
  });
});

test("the catalogue needs registry:catalog:*, and autoredirect points here", async () => {
  await using guarded = await start(["ec"], "rootcertbundle: DIR/bundle.pem, autoredirect: true");
  const key = await privateKey("ec", "ES256");
  const header = { kid: libtrustId("ec") };
  const access = [{ type: "registry", name: "catalog", actions: ["*"] }];
  const token = await made({ alg: "ES256", key, header, access });
  expect((await guarded.ask("/v2/_catalog", token)).status).toBe(200);
  const refused = await guarded.ask("/v2/_catalog", await made({ alg: "ES256", key, header }));
  expect(refused.headers.get("www-authenticate")).toBe(
    `Bearer realm="${guarded.harness.origin}/auth/token",service="reg",scope="registry:catalog:*",error="insufficient_scope"`,
  );
});
