// auth.token.jwks: which keys of a set are trusted, and for what. Servers list keys for other uses beside
// those that they sign with.
import { beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  exportJWK,
  exportPKCS8,
  generateKeyPair,
  type GenerateKeyPairResult,
  importPKCS8,
  type JWK,
  SignJWT,
} from "jose";
import { startGuarded } from "./guarded.ts";

let pair: GenerateKeyPairResult;
let open: JWK;
beforeAll(async () => {
  pair = await generateKeyPair("RS256", { extractable: true });
  open = { ...(await exportJWK(pair.publicKey)), kid: "k" };
});

async function statusBy(keys: readonly JWK[], alg: string, kid?: string): Promise<number> {
  const yaml = `auth: {token: {realm: "https://a.example.com/token", service: reg, issuer: iss, jwks: DIR/jwks.json}}`;
  await using guarded = await startGuarded(yaml, {
    prepare: (directory) => {
      writeFileSync(join(directory, "jwks.json"), JSON.stringify({ keys }));
    },
  });
  const key = await importPKCS8(await exportPKCS8(pair.privateKey), alg);
  const token = await new SignJWT({ access: [] })
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
    .setIssuer("iss")
    .setAudience("reg")
    .setExpirationTime("1m")
    .sign(key);
  return (await guarded.ask("/v2/", token)).status;
}

describe("a key of a set", () => {
  test("for signatures is trusted, for the algorithm that it names", async () => {
    const signing = { ...open, alg: "RS256", use: "sig", key_ops: ["verify"] };
    expect(await statusBy([signing], "RS256", "k")).toBe(200);
    expect(await statusBy([signing], "PS256", "k")).toBe(401);
    expect(await statusBy([open], "PS256", "k")).toBe(200);
  });

  test.each<JWK>([{ use: "enc" }, { alg: "RSA-OAEP" }, { key_ops: ["encrypt"] }])(
    "for something else (%j) is not, and does not stand in the way of others",
    async (use) => {
      const other = { ...open, ...use };
      const failure = await statusBy([other], "RS256", "k").catch(String);
      expect(failure).toContain("cannot be used: none of its keys is for signatures");
      expect(await statusBy([{ ...other, kid: "other" }, open], "RS256", "other")).toBe(401);
      // The only one for signatures needs no name.
      expect(await statusBy([{ ...other, kid: "other" }, open], "RS256")).toBe(200);
    },
  );

  test("that is private counts by its public half, as in the classic", async () => {
    const both = { ...(await exportJWK(pair.privateKey)), kid: "k" };
    expect(await statusBy([both], "RS256", "k")).toBe(200);
  });
});
