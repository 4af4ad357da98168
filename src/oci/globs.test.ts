import { describe, expect, test } from "bun:test";
import { GlobError, parseGlobs } from "./globs.ts";

describe("globs for names", () => {
  test.each([
    [["ci/**"], "ci/a", true],
    [["ci/**"], "ci/a/b", true],
    [["ci/**"], "ci", false],
    [["**"], "a/b/c", true],
    [["*"], "a/b", false],
    [["*"], "v1.2_x-3", true],
    [["v*", "latest"], "latest", true],
    [["v*", "latest"], "w1", false],
    [["**", "!ci/**"], "ci/a", false],
    [["**", "!ci/**"], "team/a", true],
    [["!ci/**"], "team/a", true],
    [["!ci/**"], "ci/a", false],
    [["team-?/{app,web}"], "team-a/web", true],
    [["{ci/**,team/**}"], "team/a/b", true],
    [["**/app"], "a/b/app", true],
    [["a/**/b"], "a/x/y/b", true],
    [["[^ab]*"], "c1", true],
    [["team[^b]c"], "team-c", true],
    [["team[^b]c"], "teambc", false],
    [["a[^-a]b"], "a/b", false],
    [["a[^-a]b"], "a9b", true],
    [["a[^-a]b"], "a-b", false],
    [["a[^-]b"], "a/b", false],
    [["a[^-]b"], "a.b", true],
    [["a[^-x-]b"], "a/b", false],
    [["a[^-x-]b"], "azb", true],
    [["a[^x-]b"], "a-b", false],
    // Everything but "**" stays between slashes.
    [["team[^b]c"], "team/c", false],
    [["**", "!team[^b]c"], "team-c", false],
    [[], "a", false],
  ] as const)("%j and %s: %p", (patterns, name, expected) => {
    expect(parseGlobs(patterns).matches(name)).toBe(expected);
  });

  test.each([
    "",
    "!",
    "a b",
    "a\\b",
    "a\u0000",
    "x".repeat(600),
    "ä",
    "{a,b",
    "a}",
    "}a{",
    "[a",
    "a]",
    "{{a}",
    "ci**",
    "**ci",
    "a/b**/c",
    "***",
    "ci/***",
    // A range that goes over the slash.
    "team[.-0]c",
    "team[,-z]c",
    "team[^.-0]c",
    "team[/]c",
    "[^]",
  ])("%j is none", (pattern) => {
    expect(() => parseGlobs([pattern])).toThrow(GlobError);
  });
});
