import { describe, expect, test } from "bun:test";
import { digestOf, parseGlobs, parseRepositoryName, parseTag } from "../oci/index.ts";
import type { TagFact } from "../registry/ports/index.ts";
import { type Judged, Judgement, type Judging } from "./judgement.ts";
import type { RetentionRule } from "./rules.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const nowMs = 1_000 * dayMs;

const digest = (text: string): TagFact["digest"] => digestOf(new TextEncoder().encode(text));
const hexOfImage = digest("image").slice("sha256:".length);

interface Given {
  readonly image?: string;
  readonly pushed?: number;
  readonly repushed?: number;
  readonly pulled?: number;
  readonly isUnreadable?: boolean;
}

/** Times in days ago. */
function tag(name: string, given: Given = {}): TagFact {
  const { image = name, pushed = 100, repushed = pushed, pulled, isUnreadable } = given;
  return {
    tag: parseTag(name),
    digest: digest(image),
    pushedAtMs: nowMs - pushed * dayMs,
    imagePushedAtMs: isUnreadable === true ? null : nowMs - repushed * dayMs,
    pulledAtMs: pulled === undefined ? null : nowMs - pulled * dayMs,
  };
}

interface Said {
  readonly name?: string;
  readonly tags?: readonly string[];
  readonly newest?: number;
  readonly pushedWithin?: number;
  readonly pulledWithin?: number;
  readonly matching?: readonly string[];
  readonly allowEmpty?: boolean;
}

function rule(said: Said): RetentionRule {
  const days = (number?: number): number | null => (number === undefined ? null : number * dayMs);
  return {
    name: said.name ?? "one",
    repositories: parseGlobs(["**"]),
    tags: parseGlobs(said.tags ?? ["*"]),
    keep: {
      newest: said.newest ?? null,
      pushedWithinMs: days(said.pushedWithin),
      pulledWithinMs: days(said.pulledWithin),
      matching: said.matching === undefined ? null : parseGlobs(said.matching),
    },
    untaggedOlderThanMs: null,
    intervalMs: dayMs,
    onPressure: false,
    allowEmpty: said.allowEmpty ?? false,
  };
}

function judge(
  facts: readonly TagFact[],
  rules: readonly RetentionRule[],
  more: Partial<Judging> = {},
): Judged {
  const judgement = new Judgement({
    repository: parseRepositoryName("ci/app"),
    rules,
    nowMs,
    pullsSinceMs: nowMs - 365 * dayMs,
    applies: () => true,
    isProtected: () => false,
    ...more,
  });
  judgement.add(facts);
  const steps = judgement.decide();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** "tag: what keeps it", or "tag: goes (rule)". */
function verdicts(judged: Judged): string[] {
  return judged.verdicts.map(
    ({ fact, keptBy, rule: by }) => `${fact.tag}: ${keptBy ?? `goes (${by?.name})`}`,
  );
}

describe("the clauses of keep", () => {
  test("newest: so many by the time of their push", () => {
    const facts = [tag("a", { pushed: 3 }), tag("b", { pushed: 1 }), tag("c", { pushed: 2 })];
    expect(verdicts(judge(facts, [rule({ newest: 2 })]))).toEqual([
      "a: goes (one)",
      "b: newest",
      "c: newest",
    ]);
  });

  test("newest: of the same time by name, numbers by their value, whatever the order they come in", () => {
    const names = ["build-9", "build-10", "build-100", "build-99"];
    for (const order of [names, names.toReversed(), names.toSorted()]) {
      const judged = judge(
        order.map((name) => tag(name)),
        [rule({ newest: 2 })],
      );
      const kept = judged.verdicts.filter(({ keptBy }) => keptBy === "newest");
      expect(kept.map(({ fact }) => String(fact.tag)).sort()).toEqual(["build-100", "build-99"]);
    }
  });

  test("newest counts what other clauses keep, too, and not what the rule does not judge", () => {
    const facts = [tag("latest", { pushed: 1 }), tag("a", { pushed: 2 }), tag("b", { pushed: 3 })];
    expect(verdicts(judge(facts, [rule({ newest: 1, matching: ["latest"] })]))).toEqual([
      "latest: newest",
      "a: goes (one)",
      "b: goes (one)",
    ]);
    expect(verdicts(judge(facts, [rule({ tags: ["*", "!latest"], newest: 1 })]))).toEqual([
      "latest: norule",
      "a: newest",
      "b: goes (one)",
    ]);
  });

  test("pushedwithin: the tag, or its image by whatever tag; exactly that old is too old", () => {
    const facts = [
      tag("new", { pushed: 29 }),
      tag("again", { pushed: 90, repushed: 1 }),
      tag("just", { pushed: 30 }),
      tag("old", { pushed: 31 }),
    ];
    expect(verdicts(judge(facts, [rule({ pushedWithin: 30 })]))).toEqual([
      "new: pushedwithin",
      "again: pushedwithin",
      "just: goes (one)",
      "old: goes (one)",
    ]);
  });

  test("pulledwithin: never pulled is not lately; in the hour of doubt it stays", () => {
    const facts = [
      tag("used", { pulled: 13 }),
      tag("edge", { pulled: 14 + 0.9 / 24 }),
      tag("past", { pulled: 14 + 1.1 / 24 }),
      tag("never"),
    ];
    expect(verdicts(judge(facts, [rule({ pulledWithin: 14 })]))).toEqual([
      "used: pulledwithin",
      "edge: pulledwithin",
      "past: goes (one)",
      "never: goes (one)",
    ]);
  });

  test("pulledwithin: nobody knows of pulls before they were noted; a push counts as use", () => {
    const facts = [
      tag("new", { pushed: 13, pulled: 40 }),
      tag("never"),
      tag("pulled", { pulled: 20 }),
    ];
    const judged = (pullsSinceMs: number | null): string[] =>
      verdicts(judge(facts, [rule({ pulledWithin: 14 })], { pullsSinceMs })).map(
        (text) => text.split(": ")[1] ?? "",
      );
    const goes = "goes (one)";
    expect(judged(nowMs - 15 * dayMs)).toEqual(["pulledwithin", goes, goes]);
    expect(judged(nowMs - 13 * dayMs)).toEqual(["pulledwithin", "pulledwithin", goes]);
    expect(judged(null)).toEqual(["pulledwithin", "pulledwithin", goes]);
  });

  test("any of them is enough", () => {
    const facts = [
      tag("v1"),
      tag("a", { pushed: 1 }),
      tag("b", { pulled: 1 }),
      tag("c", { pushed: 50 }),
      tag("d"),
    ];
    const all = rule({ newest: 1, pushedWithin: 30, pulledWithin: 14, matching: ["v*"] });
    expect(verdicts(judge(facts, [all]))).toEqual([
      "v1: matching",
      "a: newest",
      "b: pulledwithin",
      "c: goes (one)",
      "d: goes (one)",
    ]);
  });
});

describe("which rule judges", () => {
  test("the first that matches the tag; what none matches stays", () => {
    const facts = [tag("pr-1"), tag("build-1"), tag("v1"), tag("keep")];
    const rules = [
      rule({ name: "prs", tags: ["pr-*"], pushedWithin: 1 }),
      rule({ name: "builds", tags: ["pr-*", "build-*", "v*"], matching: ["pr-*", "v*"] }),
    ];
    expect(verdicts(judge(facts, rules))).toEqual([
      "pr-1: goes (prs)",
      "build-1: goes (builds)",
      "v1: matching",
      "keep: norule",
    ]);
  });

  test("a rule without tags judges none", () => {
    const untagged: RetentionRule = { ...rule({}), tags: null, untaggedOlderThanMs: dayMs };
    expect(verdicts(judge([tag("a")], [untagged]))).toEqual(["a: norule"]);
  });

  test("a rule that is not applied now still judges, and removes nothing", () => {
    const facts = [tag("pr-1"), tag("build-1"), tag("x")];
    const rules = [
      rule({ name: "prs", tags: ["pr-*"] }),
      rule({ name: "builds", tags: ["*", "!x"] }),
    ];
    const applies = ({ name }: RetentionRule): boolean => name === "builds";
    expect(verdicts(judge(facts, rules, { applies }))).toEqual([
      "pr-1: notapplied",
      "build-1: goes (builds)",
      "x: norule",
    ]);
  });
});

describe("what stays whatever a rule says", () => {
  test("a protected tag, and one whose manifest cannot be read", () => {
    const facts = [tag("fixed"), tag("bent", { isUnreadable: true }), tag("a")];
    const isProtected: Judging["isProtected"] = (_, name) => String(name) === "fixed";
    expect(verdicts(judge(facts, [rule({ newest: 1 })], { isProtected }))).toEqual([
      "fixed: protected",
      "bent: unreadable",
      "a: goes (one)",
    ]);
  });

  test("attachments are never judged, nor counted", () => {
    const facts = ["", ".sig", ".att", ".sbom"].map((suffix) =>
      tag(`sha256-${hexOfImage}${suffix}`, { pushed: 0 }),
    );
    const judged = judge([...facts, tag("a", { pushed: 1 }), tag("b")], [rule({ newest: 1 })]);
    expect(verdicts(judged).slice(-2)).toEqual(["a: newest", "b: goes (one)"]);
    expect(judged.verdicts.slice(0, 4).map(({ keptBy }) => keptBy)).toEqual(
      facts.map(() => "attachment"),
    );
    // Not quite: these are tags like any other.
    const others = ["sha256-ab.sig", `sha256-${hexOfImage}.exe`, `sha512-${hexOfImage}.sig`];
    const more = judge(
      others.map((name) => tag(name)),
      [rule({ allowEmpty: true })],
    );
    expect(more.verdicts.every(({ keptBy }) => keptBy === null)).toBe(true);
  });

  test("a digest that a tag which stays names: the tag goes alone", () => {
    const facts = [
      tag("old", { image: "same" }),
      tag("latest", { image: "same" }),
      tag("other", { image: "other" }),
      tag("more", { image: "other" }),
    ];
    const { going } = judge(facts, [rule({ matching: ["latest"] })]);
    expect(going.map(({ isWhole, tags }) => [isWhole, tags.map((one) => String(one.tag))])).toEqual(
      [
        [false, ["old"]],
        [true, ["other", "more"]],
      ],
    );
  });

  test("tags of one digest that two rules let go are one image", () => {
    const facts = [tag("a-1", { image: "same" }), tag("b-1", { image: "same" }), tag("x")];
    const rules = [rule({ name: "a", tags: ["a-*"] }), rule({ name: "b", tags: ["b-*"] })];
    const [image] = judge(facts, rules).going;
    expect(image?.rules.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(image?.isWhole).toBe(true);
  });
});

describe("no repository is emptied unasked", () => {
  const facts = [tag("a"), tag("b"), tag(`sha256-${hexOfImage}.sig`)];

  test("by a rule without keep", () => {
    const judged = judge(facts, [rule({})]);
    expect(verdicts(judged).slice(0, 2)).toEqual(["a: allowempty", "b: allowempty"]);
    expect(judged.refused.map(({ name }) => name)).toEqual(["one"]);
    expect(judged.going).toEqual([]);
  });

  test("by clauses that keep nothing there", () => {
    expect(judge(facts, [rule({ pushedWithin: 30 })]).going).toEqual([]);
  });

  test("by two rules together: the one that may, does", () => {
    const rules = [
      rule({ name: "may", tags: ["a"], allowEmpty: true }),
      rule({ name: "must not", tags: ["b"] }),
    ];
    const judged = judge(facts, rules);
    expect(verdicts(judged).slice(0, 2)).toEqual(["a: goes (may)", "b: allowempty"]);
    expect(judged.refused.map(({ name }) => name)).toEqual(["must not"]);
  });

  test("with allowempty it is", () => {
    expect(judge(facts, [rule({ allowEmpty: true })]).going).toHaveLength(2);
  });

  test("where something else stays it may go", () => {
    expect(judge([...facts, tag("v1")], [rule({ tags: ["*", "!v*"] })]).going).toHaveLength(2);
  });
});

describe("what a judgement stands on", () => {
  test("the newest that are kept, or one tag that stays; nothing where nothing has to", () => {
    const facts = [tag("a", { pushed: 1 }), tag("b", { pushed: 2 }), tag("c"), tag("v1")];
    const names = (one: RetentionRule): string[] =>
      (judge(facts, [one]).witnesses.get(one) ?? []).map(String).sort();
    expect(names(rule({ newest: 2 }))).toEqual(["a", "b"]);
    expect(names(rule({ matching: ["v*"] }))).toEqual(["v1"]);
    expect(names(rule({ matching: ["v*"], allowEmpty: true }))).toEqual([]);
  });

  test("many tags come in steps", () => {
    const many = Array.from({ length: 5_000 }, (_, n) => tag(`build-${n}`, { pushed: n }));
    const judgement = new Judgement({
      repository: parseRepositoryName("a"),
      rules: [rule({ newest: 10 })],
      nowMs,
      pullsSinceMs: null,
      applies: () => true,
      isProtected: () => false,
    });
    judgement.add(many);
    const steps = judgement.decide();
    let count = 0;
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) count += 1;
    expect(count).toBeGreaterThan(5);
    expect(step.value.going).toHaveLength(4_990);
  });
});
