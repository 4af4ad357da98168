// What a configuration may say together: what would be open without a word is refused before anything starts, and
// what guards nothing guards nothing.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { passwordCallers } from "./callers.ts";
import { configOf, removePlace } from "./guarded-registry.ts";
import { expectAllRight, makeScene, type Scene } from "./matrix.ts";
import type { Caller, Setting } from "./oracle.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await makeScene();
}, 60_000);
afterAll(() => {
  removePlace(scene);
});

const htpasswd = "htpasswd: {realm: r, path: DIR/htpasswd}";
const token = "token: {realm: 'https://a.example/t', service: s, issuer: i, jwks: DIR/jwks}";
const rules = 'access: [{repositories: ["**"], users: [ann], actions: [pull]}]';

describe("is refused, by its name", () => {
  test.each([
    ["rules without auth", rules, /access: .*auth\.htpasswd/],
    ["no rules at all, without auth", "access: []", /access: .*auth\.htpasswd/],
    ["rules with auth none", `auth: none\n${rules}`, /access: .*auth\.htpasswd/],
    ["rules with a token server", `auth: {${token}}\n${rules}`, /access: .*exclude each other/],
    ["two kinds of auth", `auth: {${htpasswd}, ${token}}`, /auth: .*not htpasswd and token/],
    ["an issuer without users", "auth: {issuer: {}}", /auth: .*issuer needs htpasswd/],
    ["an issuer beside a token server", `auth: {${token}, issuer: {}}`, /auth: .*issuer needs/],
    ["silly", "auth: {silly: {realm: r, service: s}}", /auth: .*silly/],
    ["an unknown kind", "auth: {ldap: {}}", /auth: .*ldap/],
    [
      "admin for everybody",
      `auth: {${htpasswd}}\naccess: [{users: ["*"], actions: [admin]}]`,
      /admin/,
    ],
    [
      "admin of a repository",
      `auth: {${htpasswd}}\naccess: [{repositories: [a], users: [ann], actions: [admin]}]`,
      /admin is not about repositories/,
    ],
    [
      "a rule about no repository",
      `auth: {${htpasswd}}\naccess: [{users: [ann], actions: [pull]}]`,
      /repositories/,
    ],
    [
      "a rule for nobody",
      `auth: {${htpasswd}}\naccess: [{repositories: [a], users: [], actions: [pull]}]`,
      /users/,
    ],
    [
      "a rule with a key of another product",
      `auth: {${htpasswd}}\naccess: [{repositories: [a], users: [ann], actions: [pull], deny: true}]`,
      /deny is no key of a rule/,
    ],
    [
      "a group that is not there",
      `auth: {${htpasswd}}\naccess: [{repositories: [a], users: ["group:x"], actions: [pull]}]`,
      /group:x is not below groups/,
    ],
    [
      "a group by a name that every object has",
      `auth: {${htpasswd}}\naccess: [{repositories: [a], users: ["group:constructor"], actions: [pull]}]`,
      /group:constructor is not below groups/,
    ],
    [
      "HS256",
      `auth: {${token.replace("}", ", signingalgorithms: [HS256]}")}}`,
      /signingalgorithms/,
    ],
    ["no keys", "auth: {token: {realm: r, service: s, issuer: i}}", /rootcertbundle or jwks/],
  ])("%s", (_what, yaml, message) => {
    expect(() => configOf(scene, yaml)).toThrow(message);
  });
});

const everything = ["pull", "push", "delete"] as const;

test.each(["", "auth: none", "auth: {none: {}}", "groups: {a: [ann]}"])(
  "with %p everybody may everything, whatever they send",
  async (yaml) => {
    const callers = (await passwordCallers(scene)).map((caller): Caller => ({
      ...caller,
      who: { kind: "user", name: "" },
    }));
    const setting: Setting = {
      rules: [
        { repositories: ["**"], users: ["*"], actions: everything },
        { users: [""], actions: ["admin"] },
      ],
      groups: {},
    };
    const challenges = { v2: "Basic", api: "Basic" } as const;
    // An upload of somebody's is nobody's here: see docs/design/upload-sessions.md.
    await expectAllRight(
      scene,
      { setting, yaml, challenges, repositories: ["lone"] },
      () => callers,
    );
  },
  60_000,
);
