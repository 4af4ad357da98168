import { describe, expect, test } from "bun:test";
import { loadConfig } from "../config/index.ts";
import type { RepositoryName } from "../oci/index.ts";
import { decision } from "./access.ts";

const yaml = `version: 0.1
storage: inmemory
auth: {htpasswd: {realm: r, path: /p}}
access:
  - { repositories: ["public/**"], users: ["*"], actions: [pull] }
  - { repositories: ["team-a/**"], users: [alice, group:a], actions: [pull, push] }
  - { users: [ops], actions: [admin] }
groups: { a: [bob, carol] }
`;

function ask(text: string, user: string | null, action: "pull" | "push" | "admin") {
  const { config } = loadConfig({ path: "c", env: {}, readFile: () => text });
  const repository = action === "admin" ? null : ("team-a/app" as RepositoryName);
  return decision(config, { user, action, repository });
}

describe("registry access check", () => {
  test.each([
    [
      "bob",
      "push",
      true,
      "rule 2 of access: repositories team-a/**; users alice, group:a (bob, carol); actions pull, push",
    ],
    ["mallory", "push", false, "no rule of access lets mallory push in team-a/app; 3 were asked"],
    [
      null,
      "pull",
      false,
      "no rule of access lets anybody who is not logged in pull in team-a/app; 3 were asked",
    ],
    ["ops", "admin", true, "rule 3 of access: users ops; actions admin"],
    ["bob", "admin", false, "no rule of access lets bob admin; 3 were asked"],
  ] as const)("%p %s", (...[user, action, isAllowed, because]) => {
    expect(ask(yaml, user, action)).toEqual({ isAllowed, because });
  });

  test("without rules, and without access control", () => {
    const [head = ""] = yaml.split("access:");
    expect(ask(head, "bob", "push").isAllowed).toBe(true);
    expect(ask(head, null, "pull").isAllowed).toBe(false);
    expect(ask("version: 0.1\nstorage: inmemory\n", null, "push").isAllowed).toBe(true);
  });
});
