// The same by tokens of the registry's own: what is given out for what is asked, by whom; what is made up; and that
// nothing that a token says counts beyond what its user may now.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { answerTo, inParallel } from "./ask.ts";
import { basic, type MadeRobot, makeRobot, passwordCallers, revoke } from "./callers.ts";
import type { Ask } from "./content.ts";
import { open, removePlace } from "./guarded-registry.ts";
import { contentOf, expectAllRight, makeScene, requestsOf, type Scene } from "./matrix.ts";
import type { Caller, Setting } from "./oracle.ts";
import { shapes, yamlOf } from "./shapes.ts";
import {
  disownedTokens,
  forgedTokens,
  grantedScope,
  oddTokens,
  scopeSets,
  stolenKey,
  tokenFor,
} from "./tokens.ts";

const auth =
  "auth: {htpasswd: {realm: basic-realm, path: DIR/htpasswd}, issuer: {expiration: 10m}}";
const challenges = { v2: "Bearer", api: "Basic" } as const;

let scene: Scene;
let passwords: readonly Caller[];
let robots: { readonly all: MadeRobot; readonly revoked: MadeRobot; readonly expired: MadeRobot };

beforeAll(async () => {
  scene = await makeScene();
  passwords = await passwordCallers(scene);
  const asked = { user: "ci", repositories: ["team-a/**"], actions: ["pull", "push"] } as const;
  robots = {
    all: await makeRobot(scene, asked),
    revoked: await makeRobot(scene, asked),
    expired: await makeRobot(scene, { ...asked, lifeMs: 1 }),
  };
  await revoke(scene, robots.revoked.id);
}, 60_000);
afterAll(() => {
  removePlace(scene);
});

function settingOf(name: string): Setting {
  const found = shapes.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no shape ${name}`);
  return found;
}

/** Everybody who can have one, with a token for each set of scopes. */
async function tokenCallers(ask: Ask, setting: Setting): Promise<readonly Caller[]> {
  const wrong: string[] = [];
  const callers: Caller[] = [];
  const some = passwords.filter(({ who, authorization }) => {
    return who.kind === "user" || who.kind === "robot" || authorization === null;
  });
  for (const caller of some) {
    for (const [what, claims] of scopeSets) {
      const { token, scope } = await tokenFor(ask, caller.authorization, claims);
      const wanted = grantedScope(setting, caller, claims);
      if (scope !== wanted) wrong.push(`${caller.name}, ${what}: ${scope}, not ${wanted}`);
      const name = `${caller.name} by a token for ${what}`;
      callers.push({ ...caller, name, authorization: `Bearer ${token}`, claims });
    }
  }
  expect(wrong).toEqual([]);
  return callers;
}

for (const name of ["no rules", "the documented ones", "everybody may everything"]) {
  const setting = settingOf(name);
  test(`${name}: passwords, and tokens for what is asked`, async () => {
    const yaml = `${auth}\n${yamlOf(setting)}`;
    const repositories = ["team-a/app", "lone"];
    const guarded = { setting, yaml, challenges, repositories };
    await expectAllRight(scene, guarded, async (ask) => [
      ...passwords,
      ...(await tokenCallers(ask, setting)),
      ...(await oddTokens(stolenKey(scene), robots.all)),
    ]);
  }, 60_000);
}

describe("the issuer", () => {
  test("gives nothing for credentials that are not right, and no hint why", async () => {
    await using registry = await open(scene, `${auth}\n${yamlOf(settingOf("no rules"))}`);
    const answers = new Set<string>();
    for (const { who, authorization } of passwords) {
      if (who.kind !== "refused" || authorization?.startsWith("Bearer") === true) continue;
      const headers = { Authorization: authorization ?? "" };
      const answer = await registry.ask("/auth/token?scope=registry:catalog:*", { headers });
      expect(answer.status).toBe(401);
      answers.add(JSON.stringify([answer.headers.get("www-authenticate"), await answer.text()]));
    }
    expect(answers.size).toBe(1);
  });

  test("takes a form as well, and no other method or body", async () => {
    const setting = settingOf("the documented ones");
    await using registry = await open(scene, `${auth}\n${yamlOf(setting)}`);
    const [, claims = {}] = scopeSets[0] ?? [];
    for (const caller of passwords) {
      const { who, authorization } = caller;
      if (authorization?.startsWith("Basic ") !== true || who.kind === "nobody") continue;
      const [username = "", password = ""] = atob(authorization.slice(6)).split(":");
      const scope = Object.entries(claims).map(([name, actions]) => `${name}:${actions.join()}`);
      const form = { grant_type: "password", username, password, scope: scope.join(" ") };
      const init = { method: "POST", body: new URLSearchParams(form) };
      const answer = await registry.ask("/auth/token", init);
      const { scope: granted } = (await answer.json()) as { scope?: string };
      const wanted = who.kind === "refused" ? undefined : grantedScope(setting, caller, claims);
      expect([caller.name, granted]).toEqual([caller.name, wanted]);
      expect(answer.status).toBe(who.kind === "refused" ? 401 : 200);
    }
    const headers = { Authorization: basic("ada", "pw") };
    const statuses = ["PUT", "DELETE", "PATCH", "HEAD", "POST", "OPTIONS"].map(async (method) => {
      return (await registry.ask("/auth/token", { method, headers })).status;
    });
    expect(await Promise.all(statuses)).toEqual([405, 405, 405, 405, 400, 200]);
  });

  test("does not take a token for a password", async () => {
    await using registry = await open(scene, auth);
    const { token } = await tokenFor(registry.ask, basic("ann", "pw"), {});
    const headers = { Authorization: `Bearer ${token}` };
    expect((await registry.ask("/auth/token", { headers })).status).toBe(401);
    const asPassword = { Authorization: basic("ann", token) };
    expect((await registry.ask("/v2/", { headers: asPassword })).status).toBe(401);
  });
});

test("tokens that somebody made up let nobody in anywhere", async () => {
  const setting = settingOf("everybody may everything");
  await using registry = await open(scene, `${auth}\n${yamlOf(setting)}`);
  const requests = requestsOf(contentOf(scene, "team-a/app"));
  const wrong: string[] = [];
  const own = stolenKey(scene);
  const forged = [...(await forgedTokens(own)), ...(await disownedTokens(own, robots))];
  const cases = forged.flatMap(([name, token]) =>
    requests.map((asked) => ({ name, authorization: `Bearer ${token}`, asked })),
  );
  await inParallel(cases, async ({ name, authorization, asked }) => {
    const caller: Caller = { name, authorization, who: { kind: "refused" }, claims: null };
    const { status } = await answerTo(registry.ask, caller, asked.real);
    if (status !== 401) wrong.push(`${name}: ${asked.method} ${asked.real.path}: ${status}`);
  });
  expect(wrong).toEqual([]);
  // They differ from one that is right in nothing but what is wrong with them.
  const [right] = await oddTokens(stolenKey(scene), robots.all);
  if (right === undefined) throw new Error("there is none");
  const get = requests.find(({ method }) => method === "GET");
  if (get === undefined) throw new Error("there is none");
  expect((await answerTo(registry.ask, right, get.real)).status).toBe(200);
});

test("who is taken out of the file, or revoked, is out with every token", async () => {
  const setting = settingOf("no rules");
  const robot = await makeRobot(scene, { user: "ci", repositories: ["lone"], actions: ["pull"] });
  await using registry = await open(scene, `${auth}\n${yamlOf(setting)}`);
  const claims = { "repository:lone": ["pull"] };
  const bearer = async (authorization: string): Promise<string> =>
    `Bearer ${(await tokenFor(registry.ask, authorization, claims)).token}`;
  const ofRobot = await bearer(basic("ci", robot.password));
  const ofGus = await bearer(basic("gus", "pw"));
  const statusFor = async (authorization: string): Promise<number> => {
    const init = { headers: { Authorization: authorization } };
    return (await registry.ask("/v2/lone/tags/list", init)).status;
  };
  const all = [ofRobot, basic("ci", robot.password), ofGus, basic("gus", "pw")];
  expect(await Promise.all(all.map(statusFor))).toEqual([200, 200, 200, 200]);
  await revoke(scene, robot.id);
  const path = join(scene.directory, "htpasswd");
  const before = readFileSync(path, "utf8");
  try {
    writeFileSync(path, before.replace(/^gus:.*\n/m, ""));
    // The file is looked at once a second.
    await Bun.sleep(1_100);
    expect(await Promise.all(all.map(statusFor))).toEqual([401, 401, 401, 401]);
  } finally {
    writeFileSync(path, before);
  }
});
