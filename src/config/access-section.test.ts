import { describe, expect, test } from "bun:test";
import { problemsIn } from "../../test/config/problems.ts";
import { loadConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

const minimal = "version: 0.1\nstorage: inmemory\n";

function load(yaml: string) {
  return loadConfig({ path: "config.yml", env: {}, readFile: () => minimal + yaml });
}

function problemsOf(yaml: string): readonly string[] {
  return problemsIn(() => load(yaml));
}

const htpasswd = "auth: {htpasswd: {realm: r, path: /p}}\n";

describe("auth", () => {
  test.each(["", "auth:\n", "auth: none\n", "auth: {none: }\n", "auth: {}\n"])(
    "%p is nobody's gate",
    (yaml) => {
      expect(load(yaml).config.auth).toEqual({ kind: "none" });
    },
  );

  test("htpasswd, as every tutorial writes it, and with tokens of its own", () => {
    expect(load(htpasswd).config.auth).toEqual({
      kind: "htpasswd",
      realm: "r",
      path: "/p",
      issuer: null,
    });
    const own = { service: "plimsoll", issuer: "plimsoll", expirationMs: 300_000, realm: null };
    expect(load("auth: {htpasswd: {realm: r, path: /p}, issuer: }").config.auth).toMatchObject({
      issuer: own,
    });
    const named =
      "auth: {htpasswd: {realm: r, path: /p}, issuer: {realm: 'https://r.example.com/auth/token', service: s, issuer: i, expiration: 10m}}";
    expect(load(named).config.auth).toMatchObject({
      issuer: {
        realm: "https://r.example.com/auth/token",
        service: "s",
        issuer: "i",
        expirationMs: 600_000,
      },
    });
  });

  test("token, with the classic's keys", () => {
    const { config, warnings } = load(
      "auth: {token: {realm: 'https://a.example.com/token', service: s, issuer: i, rootcertbundle: /c.pem, autoredirect: false}}",
    );
    expect(warnings).toEqual([]);
    expect(config.auth).toMatchObject({
      kind: "token",
      realm: "https://a.example.com/token",
      service: "s",
      issuer: "i",
      rootCertBundle: "/c.pem",
      jwks: null,
      autoRedirectPath: null,
    });
    const redirecting = load(
      "auth: {token: {service: s, issuer: i, jwks: /k.json, autoredirect: true, signingalgorithms: [ES256]}}",
    );
    expect(redirecting.config.auth).toMatchObject({
      autoRedirectPath: "/auth/token",
      jwks: "/k.json",
      signingAlgorithms: ["ES256"],
    });
  });

  // Whatever cannot be understood must not leave the registry open.
  test.each([
    ["auth: silly", "silly lets anybody in"],
    ["auth: {silly: {realm: r, service: s}}", "silly lets anybody in"],
    ["auth: {htpaswd: {realm: r, path: /p}}", '"htpaswd" is no kind of access control'],
    ["auth: htpasswd", "auth.htpasswd.realm is missing"],
    ["auth: {htpasswd: }", "auth.htpasswd.realm is missing"],
    ["auth: {htpasswd: {realm: r}}", "auth.htpasswd.path is missing"],
    ["auth: {htpasswd: {realm: r, path: ''}}", "not empty"],
    ['auth: {htpasswd: {realm: "a\\nb", path: /p}}', "printable ASCII"],
    ["auth: [htpasswd]", "expected a kind of access control"],
    ["auth: {issuer: {}}", "issuer needs htpasswd"],
    ["auth: {htpasswd: {realm: r, path: /p}, token: {}}", "one kind of access control"],
    ["auth: {token: {realm: r, service: s, issuer: i}}", "rootcertbundle or jwks is needed"],
    ["auth: {token: {service: s, issuer: i, jwks: /k}}", "auth.token.realm"],
    [
      "auth: {token: {realm: r, service: s, issuer: i, jwks: /k, signingalgorithms: [HS256]}}",
      "RS256",
    ],
    ["auth: {htpasswd: {realm: r, path: /p}, issuer: {expiration: 1s}}", "1m to 24h"],
  ])("%s: an error", (yaml, expected) => {
    const problems = problemsOf(yaml);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.join("\n")).toContain(expected);
  });
});

describe("access and groups", () => {
  test("the rules of the documentation", () => {
    const { config } = load(`${htpasswd}access:
  - { repositories: ["public/**"], users: ["*"], actions: [pull] }
  - { repositories: ["team-a/**"], users: [alice, group:a], actions: [pull, push, delete] }
  - { users: [ops], actions: [admin] }
groups: { a: [bob, carol] }
`);
    expect(config.access).toEqual({
      rules: [
        { repositories: ["public/**"], users: ["*"], actions: ["pull"] },
        {
          repositories: ["team-a/**"],
          users: ["alice", "group:a"],
          actions: ["pull", "push", "delete"],
        },
        { repositories: [], users: ["ops"], actions: ["admin"] },
      ],
      groups: { a: ["bob", "carol"] },
    });
    const rendered = renderConfig(config);
    const again = loadConfig({ path: "c", env: {}, readFile: () => rendered });
    expect(again.config).toEqual(config);
  });

  test("an empty list denies everything, none at all nothing", () => {
    expect(load(`${htpasswd}access: []`).config.access).toEqual({ rules: [], groups: {} });
    expect(load(htpasswd).config.access).toBeNull();
  });

  test.each([
    ["[{repositories: [a], users: [group:b], actions: [pull]}]", "group:b is not below groups"],
    ["[{repositories: [a], users: [b], actions: [read]}]", "one of pull, push, delete, admin"],
    ["[{repositories: ['a b'], users: [b], actions: [pull]}]", "a glob such as"],
    ["[{repository: [a], users: [b], actions: [pull]}]", "repository is no key of a rule"],
    ["[{repositories: [a], users: ['*'], actions: [pull], from: [x]}]", "from is no key of a rule"],
    ["[{users: [b], actions: [pull]}]", "a list of globs"],
    ["[{repositories: [a], users: [], actions: [pull]}]", "one user at least"],
    ["[{repositories: [a], users: [b], actions: []}]", "at least"],
    ["[{repositories: [a], users: [b], actions: [admin]}]", "a rule of its own"],
    ["[{users: [b], actions: [admin, pull]}]", "a rule of its own"],
    ["[{users: ['*'], actions: [admin]}]", "users with a name"],
    ["[{users: ['a:b'], actions: [admin]}]", "group:<name>"],
    ["{}", "a list"],
  ])("%s: an error", (rules, expected) => {
    expect(problemsOf(`${htpasswd}access: ${rules}`).join("\n")).toContain(expected);
  });

  test.each(["access:\n", "access:\n#  - {users: [a], actions: [admin]}\n", "access: ~\n"])(
    "%p is a mistake: it would open everything to whoever logs in",
    (yaml) => {
      expect(problemsOf(htpasswd + yaml).join()).toMatch(/^line 4: access: it is empty; .*\[\]/);
    },
  );

  test("rules without anybody who could log in, or beside a token server, are an error", () => {
    const rules = "access: [{repositories: [a], users: ['*'], actions: [pull]}]\n";
    expect(problemsOf(rules)[0]).toContain("rules need auth.htpasswd");
    const token = "auth: {token: {realm: r, service: s, issuer: i, jwks: /k}}\n";
    expect(problemsOf(token + rules)[0]).toContain("exclude each other");
  });
});
