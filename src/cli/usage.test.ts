import { describe, expect, test } from "bun:test";
import { readUsageFlags, splitPath } from "./usage.ts";

describe("the flags of usage", () => {
  test("without any: the repositories that use most", () => {
    const report = {
      what: "report" as const,
      by: "repository" as const,
      top: 20,
      repositories: [],
    };
    expect(readUsageFlags({})).toEqual(report);
  });

  test("what makes no sense is refused, with what was expected", () => {
    const refused = (flags: Parameters<typeof readUsageFlags>[0]) => () => readUsageFlags(flags);
    expect(refused({ by: "size" })).toThrow('"size" is none of repository, tag, blob, age');
    for (const top of ["0", "1001", "many", "-1"]) {
      expect(refused({ top })).toThrow("is not a number of rows from 1 to 1000");
    }
    expect(refused({ repository: ["no spaces"] })).toThrow("is no glob");
    expect(refused({ deletePreview: [] })).toThrow("name what would be deleted");
    const many = Array.from({ length: 1001 }, (_, n) => `a${n}`);
    expect(refused({ deletePreview: many })).toThrow("--delete-preview: 1001 names; at most 1000");
    expect(refused({ deletePreview: ["a"], top: "5" })).toThrow("goes with --json alone");
    expect(refused({ deletePreview: ["Bad"] })).toThrow("is not a repository name");
    expect(refused({ deletePreview: ["a:-x"] })).toThrow("is not a tag");
    expect(refused({ deletePreview: ["a@sha256:00"] })).toThrow("sha256:00");
  });

  test("a configuration at the end of a list of names is one", () => {
    expect(splitPath(undefined, { deletePreview: ["a", "b:1", "/etc/config.yml"] })).toEqual({
      path: "/etc/config.yml",
      flags: { deletePreview: ["a", "b:1"] },
    });
    expect(splitPath(undefined, { repository: ["ci/**", "c.yaml"] })).toEqual({
      path: "c.yaml",
      flags: { repository: ["ci/**"] },
    });
    const flags = { deletePreview: ["a.yml"] };
    expect(splitPath("config.yml", flags)).toEqual({ path: "config.yml", flags });
    expect(splitPath(undefined, {})).toEqual({ path: undefined, flags: {} });
  });
});
