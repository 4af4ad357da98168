import { describe, expect, test } from "bun:test";
import { describeSource } from "./raw-tree.ts";
import { parseYamlTree } from "./yaml-tree.ts";

function plain(text: string): unknown {
  return JSON.parse(JSON.stringify(parseYamlTree(text).tree ?? null));
}

describe("parseYamlTree", () => {
  test("scalars keep their text, whatever YAML would take them for", () => {
    expect(plain("a: 0.10\nb: yes\nc: 010\nd: '1'\ne: :5000\nf: 12:30")).toEqual({
      a: "0.10",
      b: "yes",
      c: "010",
      d: "1",
      e: ":5000",
      f: "12:30",
    });
  });

  test("empty, ~ and null are no value, quoted they are texts", () => {
    const { tree } = parseYamlTree("a:\nb: ~\nc: null\nd: ''\ne: 'null'");
    expect(tree).toEqual({ a: undefined, b: undefined, c: undefined, d: "", e: "null" });
  });

  test("each value knows its line", () => {
    const { sources } = parseYamlTree("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n");
    const lineOf = (...path: (string | number)[]): string => describeSource(sources.find(path));
    expect(lineOf("a")).toBe("line 1");
    expect(lineOf("a", "b")).toBe("line 2");
    expect(lineOf("a", "c", 0)).toBe("line 4");
    expect(lineOf("a", "c", 1, "y")).toBe("line 5");
    expect(lineOf("a", "c", 1, "nothing")).toBe("line 5");
  });

  test("of equal keys the last counts, with a warning", () => {
    const { tree, warnings } = parseYamlTree("a: 1\nb: 2\na: 3");
    expect(tree).toEqual({ a: "3", b: "2" });
    expect(warnings).toEqual([{ line: 3, text: "a is given more than once; the last counts" }]);
  });

  test("aliases and merge keys work, and what is written wins over what is merged", () => {
    const text = "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\nalias: *b";
    expect(plain(text)).toEqual({
      base: { x: "1", y: "2" },
      own: { x: "1", y: "3" },
      alias: { x: "1", y: "2" },
    });
  });

  test("a key named __proto__ is a key", () => {
    const { tree } = parseYamlTree("__proto__: {polluted: yes}");
    expect(Object.keys(tree ?? {})).toEqual(["__proto__"]);
    expect({}).not.toHaveProperty("polluted");
  });

  test("what is not YAML is a problem with its line", () => {
    const { tree, problems } = parseYamlTree("a: 1\nb: [1,\n");
    expect(tree).toBeUndefined();
    expect(problems[0]?.line).toBeGreaterThanOrEqual(2);
    expect(problems[0]?.text).toStartWith("not valid YAML: ");
  });

  test("a tab for indentation is a problem, not a crash", () => {
    expect(parseYamlTree("a:\n\tb: 1").problems).not.toBeEmpty();
  });

  test.each([
    "auth: *typo",
    "a: &b 1\nauth:\n  <<: *c",
    "list:\n  - 1\n  - *typo",
    "a: *b\nb: &b 1",
  ])("an alias of nothing is a problem, and not nothing: %p", (text) => {
    const { problems } = parseYamlTree(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.text).toBe("no anchor (&) before it has this name");
  });

  test("aliases that multiply end in a problem, not in a full memory", () => {
    const levels = Array.from({ length: 12 }, (_, at) => {
      const items = at === 0 ? "x,x,x,x,x,x,x,x" : `${`*l${at - 1},`.repeat(7)}*l${at - 1}`;
      return `l${at}: &l${at} [${items}]`;
    });
    expect(parseYamlTree(levels.join("\n")).problems[0]?.text).toContain("too large");
  });

  test("only the first document counts", () => {
    const { tree, warnings } = parseYamlTree("a: 1\n---\na: 2\n");
    expect(tree).toEqual({ a: "1" });
    expect(warnings[0]?.text).toContain("first YAML document");
  });

  test("an empty file is an empty tree", () => {
    expect(parseYamlTree("# nothing\n")).toMatchObject({ tree: undefined, problems: [] });
  });
});
