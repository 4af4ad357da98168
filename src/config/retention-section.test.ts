import { describe, expect, test } from "bun:test";
import { problemsIn } from "../../test/config/problems.ts";
import type { RetentionRuleConfig } from "./config.ts";
import { loadConfig } from "./load.ts";
import { formatLongDuration, parseLongDuration } from "./long-duration.ts";
import { renderConfig } from "./render.ts";

const head = "version: 0.1\nstorage: inmemory\n";
const dayMs = 86_400_000;

function rulesOf(
  section: string,
  env: Record<string, string> = {},
): readonly RetentionRuleConfig[] {
  return loadConfig({ path: "c.yml", env, readFile: () => head + section }).config.retention;
}

/** Globs as they were written, for a comparison. */
function plain(rules: readonly RetentionRuleConfig[]): unknown {
  return JSON.parse(JSON.stringify(rules));
}

function problemsOf(section: string): readonly string[] {
  return problemsIn(() => rulesOf(section));
}

const whole = `retention:
  - name: ci-builds
    repositories: ["ci/**"]
    tags: ["*"]                 # globs; a leading ! excludes
    keep: { newest: 10, pushedwithin: 30d, pulledwithin: 14d, matching: ["v*", "latest"] }
    untagged: { olderthan: 7d }
    interval: 12h
    onpressure: true
    allowempty: true
`;

describe("retention", () => {
  test("without a section there are no rules, and an empty one is none", () => {
    expect(rulesOf("")).toEqual([]);
    expect(rulesOf("retention:\n")).toEqual([]);
    expect(rulesOf("retention: []\n")).toEqual([]);
  });

  test("every key", () => {
    const [rule] = rulesOf(whole);
    expect(plain([rule as RetentionRuleConfig])).toEqual([
      {
        name: "ci-builds",
        repositories: { patterns: ["ci/**"] },
        tags: { patterns: ["*"] },
        keep: {
          newest: 10,
          pushedWithinMs: 30 * dayMs,
          pulledWithinMs: 14 * dayMs,
          matching: { patterns: ["v*", "latest"] },
        },
        untaggedOlderThanMs: 7 * dayMs,
        intervalMs: dayMs / 2,
        onPressure: true,
        allowEmpty: true,
      },
    ]);
    expect(rule?.repositories.matches("ci/a/b")).toBe(true);
  });

  test("defaults: every tag of a rule with keep; none of one that is about untagged manifests alone", () => {
    const [keeps, untagged] = rulesOf(`retention:
  - {name: a, repositories: ["**"], keep: {newest: 3}}
  - {name: b, repositories: ["**"], untagged: {olderthan: 1d}}
`);
    expect(keeps?.tags?.matches("x")).toBe(true);
    expect(keeps).toMatchObject({ intervalMs: dayMs, onPressure: false, allowEmpty: false });
    expect(keeps?.untaggedOlderThanMs).toBeNull();
    expect(untagged?.tags).toBeNull();
  });

  test("what is printed can be read back", () => {
    const text = `${whole}  - {name: b, repositories: ["**", "!ci/**"], untagged: {olderthan: 90m}}
  - {name: c, repositories: ["c"], tags: ["pr-*"]}
`;
    const rules = rulesOf(text);
    const config = loadConfig({ path: "c.yml", env: {}, readFile: () => head + text }).config;
    const printed = renderConfig(config);
    expect(printed).toContain("pushedwithin: 30d");
    const again = loadConfig({ path: "c.yml", env: {}, readFile: () => printed });
    expect(again.warnings).toEqual([]);
    expect(plain(again.config.retention)).toEqual(plain(rules));
  });

  test("by variables", () => {
    const env = {
      REGISTRY_RETENTION_0_KEEP_NEWEST: "20",
      REGISTRY_RETENTION_1: "{name: more, repositories: ['**'], keep: {newest: 1}}",
    };
    expect(rulesOf(whole, env)).toMatchObject([
      { name: "ci-builds", keep: { newest: 20 } },
      { name: "more", keep: { newest: 1 } },
    ]);
  });

  test.each([
    ["name: a b", "retention.0.name", '"a b"', "at most 64 letters"],
    ["repositories: ci", "retention.0.repositories", '"ci"', "a list of globs"],
    ["repositories: []", "retention.0.repositories", "[]", "at least one"],
    ["repositories: ['a b']", "retention.0.repositories", "a b", "no glob for names"],
    ["keep: {newest: 0}", "retention.0.keep.newest", '"0"', "from 1 to 10000"],
    ["keep: {newest: many}", "retention.0.keep.newest", '"many"', "whole number"],
    ["keep: {pushedwithin: 30}", "retention.0.keep.pushedwithin", '"30"', "30d"],
    ["keep: {pulledwithin: 0d}", "retention.0.keep.pulledwithin", '"0d"', "more than 0"],
    ["untagged: {olderthan: week}", "retention.0.untagged.olderthan", '"week"', "a duration"],
    ["interval: 0s", "retention.0.interval", '"0s"', "more than 0"],
    ["onpressure: often", "retention.0.onpressure", '"often"', "true or false"],
  ])("%s: key, value, what was expected, line", (line, ...[key, value, expected]) => {
    const lines = ["name: r", 'repositories: ["**"]', "keep: {newest: 1}"];
    const rest = lines.filter((one) => one.split(":")[0] !== line.split(":")[0]);
    const [problem = "", ...others] = problemsOf(
      `retention:\n  - ${[line, ...rest].join("\n    ")}\n`,
    );
    expect(others).toEqual([]);
    expect(problem).toStartWith("line 4: ");
    expect(problem).toContain(key);
    expect(problem).toContain(value);
    expect(problem).toContain(expected);
  });

  test("two rules of one name, one that does nothing, no name, no list", () => {
    const rule = "{name: r, repositories: ['**'], keep: {newest: 1}}";
    expect(problemsOf(`retention:\n  - ${rule}\n  - ${rule}\n`)).toEqual([
      'line 5: retention.1.name: "r" is not valid; expected a name that no rule before it has',
    ]);
    expect(problemsOf("retention:\n  - {name: r, repositories: ['**']}\n")[0]).toContain(
      "would do nothing",
    );
    expect(problemsOf("retention:\n  - {repositories: ['**'], keep: {newest: 1}}\n")[0]).toContain(
      "retention.0.name is missing",
    );
    expect(problemsOf("retention: {name: r}\n")[0]).toContain("expected a list");
  });

  test.each([
    ["keep: {newst: 3}", "retention.0.keep.newst", "newest, pushedwithin"],
    ["untagged: {olderthan: 1d, delete: true}", "retention.0.untagged.delete", "olderthan"],
    ["keeps: {newest: 3}", "retention.0.keeps", "repositories, tags, keep"],
  ])(
    "%s: a slip in a key is an error, for it would keep less than was meant",
    (line, key, known) => {
      const rest = 'name: r\n    repositories: ["**"]\n    tags: ["*"]\n    ';
      const problems = problemsOf(`retention:\n  - ${rest}${line}\n`);
      expect(problems).toHaveLength(1);
      expect(problems[0]).toStartWith(`line 7: ${key}: `);
      expect(problems[0]).toContain(known);
    },
  );
});

describe("durations with days", () => {
  test.each([
    ["30d", 30 * dayMs],
    ["1d12h", 1.5 * dayMs],
    ["0d", 0],
    ["36h", 1.5 * dayMs],
    ["d", null],
    ["1.5d", null],
    ["1d2", null],
    ["-1d", null],
  ])("%s", (text, ms) => {
    expect(parseLongDuration(text)).toBe(ms);
  });

  test("are printed as days where they are whole", () => {
    expect([30 * dayMs, dayMs / 2, 0].map(formatLongDuration)).toEqual(["30d", "12h", "0s"]);
  });
});
