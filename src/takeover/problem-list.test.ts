import { describe, expect, test } from "bun:test";
import { parseRepositoryName } from "../oci/index.ts";
import type { TreeProblem } from "../registry/ports/index.ts";
import { ProblemList } from "./problem-list.ts";

function problem(kind: TreeProblem["kind"], repository: string | null, n: number): TreeProblem {
  const name = repository === null ? null : parseRepositoryName(repository);
  return { kind, repository: name, name: null, path: `/${n}`, detail: "" };
}

describe("ProblemList", () => {
  test("the first page holds everything that protects, the others the rest", () => {
    const list = new ProblemList();
    for (let n = 0; n < 2500; n++) list.add(problem("bad-link", "a", n));
    list.add(problem("unreadable-tag", "a", 0));
    list.add(problem("unlistable-directory", null, 0));
    const pages = [...list.pages()];
    expect(pages.map((page) => page.length)).toEqual([2, 1000, 1000, 500]);
    expect(pages[0]?.map(({ kind }) => kind)).toEqual(["unreadable-tag", "unlistable-directory"]);
    expect(list.first(3).map(({ kind }) => kind)).toEqual([
      "unreadable-tag",
      "unlistable-directory",
      "bad-link",
    ]);
  });

  test("there is a first page even without problems: it empties the list before", () => {
    expect([...new ProblemList().pages()]).toEqual([[]]);
  });

  test("the list is bounded, the counts are not, and no protection is ever left out", () => {
    const list = new ProblemList();
    for (let n = 0; n < 100_005; n++) list.add(problem("bad-link", "a", n));
    for (let n = 0; n < 10; n++) list.add(problem("unreadable-tag", "a", n));
    list.add(problem("unreadable-tag", "b", 0));
    const [protecting = [], ...others] = list.pages();
    expect(others.flat().length).toBe(100_000);
    expect(protecting.map(({ repository }) => repository?.toString())).toEqual(["a", "b"]);
    expect(list.counts).toEqual(
      new Map([
        ["bad-link", 100_005],
        ["unreadable-tag", 11],
      ]),
    );
  });
});
