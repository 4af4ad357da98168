import { describe, expect, test } from "bun:test";
import { parseGoRegExp } from "./go-regexp.ts";

describe("parseGoRegExp", () => {
  test("an ordinary expression means the same", () => {
    const pattern = parseGoRegExp("^https?://([^/]+\\.)*example\\.com/");
    expect(pattern.test("https://www.example.com/x")).toBe(true);
    expect(pattern.test("https://wwwexample.org/x")).toBe(false);
  });

  test("a leading (?i) ignores the case of letters", () => {
    expect(parseGoRegExp("(?i)^HTTPS://").test("https://x")).toBe(true);
  });

  test("\\A and \\z are the ends of the text, not letters", () => {
    const pattern = parseGoRegExp("\\Ahttps://x\\z");
    expect(pattern.test("https://x")).toBe(true);
    expect(pattern.test("https://x\n")).toBe(false);
    expect(pattern.test("ahttps://x")).toBe(false);
  });

  test("a named group is written differently", () => {
    expect(parseGoRegExp("^(?P<scheme>https)://").exec("https://x")?.groups?.["scheme"]).toBe(
      "https",
    );
  });

  test.each(["[", "a(", "\\Qx\\E", "[[:alpha:]]", "[a[:digit:]]", "a(?i)b", "(?U)a", "\\pL"])(
    "%s is refused, because it is wrong or would mean something else",
    (source) => {
      expect(() => parseGoRegExp(source)).toThrow(SyntaxError);
    },
  );
});
