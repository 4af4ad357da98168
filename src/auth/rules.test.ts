import { describe, expect, test } from "bun:test";
import type { RepositoryName } from "../oci/index.ts";
import type { AccessAction } from "../registry/ports/access.ts";
import { type AccessRule, AccessRules } from "./rules.ts";

const documented: readonly AccessRule[] = [
  { repositories: ["public/**"], users: ["*"], actions: ["pull"] },
  {
    repositories: ["team-a/**", "!team-a/secret/**"],
    users: ["alice", "group:a"],
    actions: ["pull", "push", "delete"],
  },
  { repositories: [], users: ["ops"], actions: ["admin"] },
];
const rules = new AccessRules(documented, { a: ["bob", "carol"] });
const name = (text: string) => text as RepositoryName;

describe("access rules", () => {
  test.each<[string | null, AccessAction, string | null, number | null]>([
    [null, "pull", "public/app", 1],
    ["alice", "pull", "public/app", 1],
    [null, "push", "public/app", null],
    ["alice", "push", "public/app", null],
    [null, "pull", "public", null],
    [null, "pull", "publicity/app", null],
    [null, "pull", "team-a/app", null],
    ["alice", "push", "team-a/app", 2],
    ["bob", "delete", "team-a/deep/er", 2],
    ["carol", "pull", "team-a/app", 2],
    ["mallory", "pull", "team-a/app", null],
    ["alice", "pull", "team-a/secret/app", null],
    ["group:a", "pull", "team-a/app", null],
    ["a", "pull", "team-a/app", null],
    ["*", "pull", "team-a/app", null],
    ["ops", "admin", null, 3],
    ["alice", "admin", null, null],
    ["ops", "pull", "team-a/app", null],
    [null, "admin", null, null],
  ])("%p may %s in %p: by rule %p", (...[user, action, repository, expected]) => {
    expect(rules.find(user, action, repository === null ? null : name(repository))).toBe(expected);
  });

  test("nothing is allowed by no rule", () => {
    expect(new AccessRules([], {}).find("alice", "pull", name("a"))).toBeNull();
    expect(new AccessRules([], {}).seenBy("alice").prefixes).toEqual([]);
  });

  test("what is seen begins as the globs do, and is matched by them", () => {
    const seen = rules.seenBy("alice");
    expect(seen.prefixes).toEqual(["public/", "team-a/"]);
    expect(seen.matches(name("team-a/app"))).toBe(true);
    expect(seen.matches(name("team-a/secret/app"))).toBe(false);
    expect(rules.seenBy(null).prefixes).toEqual(["public/"]);
    const of = (...repositories: string[]) =>
      new AccessRules([{ repositories, users: ["*"], actions: ["pull"] }], {}).seenBy(null)
        .prefixes;
    expect(of("a/b*", "a/**", "a/bc")).toEqual(["a/"]);
    expect(of("{a,b}/c")).toEqual([""]);
    expect(of("!a/**")).toEqual([""]);
    expect(of("x?y", "x[ab]")).toEqual(["x"]);
  });
});
