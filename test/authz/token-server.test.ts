// The same behind a token server (`auth.token`): what its tokens say counts, and nothing else; passwords, rules and
// robot tokens do not.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { answerTo, inParallel } from "./ask.ts";
import { passwordCallers } from "./callers.ts";
import { owner } from "./content.ts";
import { open, removePlace } from "./guarded-registry.ts";
import { contentOf, expectAllRight, makeScene, requestsOf, type Scene } from "./matrix.ts";
import type { Caller, Setting } from "./oracle.ts";
import { accessOf, everyScope, forgedTokens, made, scopeSets, type SigningKey } from "./tokens.ts";

const yaml =
  "auth: {token: {realm: 'https://auth.example.com/token', service: plimsoll, issuer: plimsoll, jwks: DIR/jwks}}";
const challenges = { v2: "Bearer", api: "Bearer" } as const;
/** Whoever has a token may do what it says. */
const setting: Setting = { rules: null, groups: {} };

let scene: Scene;
let own: SigningKey;

beforeAll(async () => {
  scene = await makeScene();
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const { kty, crv, x, y, d } = (await exportJWK(privateKey)) as SigningKey["jwk"];
  own = { kid: "one", jwk: { kty, crv, x, y, d } };
  const keys = [{ kid: own.kid, kty, crv, x, y }];
  writeFileSync(join(scene.directory, "jwks"), JSON.stringify({ keys }));
}, 60_000);
afterAll(() => {
  removePlace(scene);
});

async function tokenCallers(): Promise<readonly Caller[]> {
  const callers: Caller[] = [];
  const subjects = ["ann", owner, ""];
  for (const sub of subjects) {
    for (const [what, claims] of scopeSets) {
      const token = await made(own, { payload: { sub, access: accessOf(claims) } });
      callers.push({
        name: `"${sub}" by a token for ${what}`,
        authorization: `Bearer ${token}`,
        who: { kind: "user", name: sub },
        claims,
      });
    }
  }
  const robot = await made(own, { payload: { robot: "0123456789abcdef" } });
  return [
    ...callers,
    {
      name: "one that names a robot, which is nothing here",
      authorization: `Bearer ${robot}`,
      who: { kind: "user", name: "ada" },
      claims: everyScope,
    },
  ];
}

test("tokens grant what they say; passwords and robots, nothing", async () => {
  const passwords = (await passwordCallers(scene)).map((caller): Caller => ({
    ...caller,
    who: { kind: "refused" },
  }));
  await expectAllRight(scene, { setting, yaml, challenges }, async () => [
    ...passwords,
    ...(await tokenCallers()),
  ]);
}, 60_000);

test("tokens that somebody made up let nobody in anywhere", async () => {
  await using registry = await open(scene, yaml);
  const requests = requestsOf(contentOf(scene, "team-a/app"));
  const wrong: string[] = [];
  const cases = (await forgedTokens(own)).flatMap(([name, token]) =>
    requests.map((asked) => ({ name, authorization: `Bearer ${token}`, asked })),
  );
  await inParallel(cases, async ({ name, authorization, asked }) => {
    const caller: Caller = { name, authorization, who: { kind: "refused" }, claims: null };
    const { status } = await answerTo(registry.ask, caller, asked.real);
    if (status !== 401) wrong.push(`${name}: ${asked.method} ${asked.real.path}: ${status}`);
  });
  expect(wrong).toEqual([]);
});

test("there is no issuer beside it", async () => {
  await using registry = await open(scene, yaml);
  expect((await registry.ask("/auth/token")).status).toBe(404);
});

test("an upload is its subject's; one of no subject goes on for whoever may push", async () => {
  await using registry = await open(scene, yaml);
  const bearer = async (sub: string): Promise<string> =>
    `Bearer ${await made(own, { payload: { sub, jti: crypto.randomUUID() } })}`;
  const path = "/v2/lone/blobs/uploads/";
  const begun = async (sub: string): Promise<string> => {
    const headers = { Authorization: await bearer(sub) };
    const answer = await registry.ask(path, { method: "POST", headers });
    return path + (answer.headers.get("docker-upload-uuid") ?? "");
  };
  const statusFor = async (upload: string, sub: string): Promise<number> =>
    (await registry.ask(upload, { headers: { Authorization: await bearer(sub) } })).status;
  const anns = await begun("ann");
  expect([await statusFor(anns, "ann"), await statusFor(anns, "")]).toEqual([204, 404]);
  expect(await statusFor(anns, "ben")).toBe(404);
  const nobodys = await begun("");
  expect([await statusFor(nobodys, ""), await statusFor(nobodys, "ann")]).toEqual([204, 204]);
});
