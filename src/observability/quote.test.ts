import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { escapeText, quoteText } from "./quote.ts";

describe("quoteText quotes as Go does", () => {
  // Right-hand sides printed by Go's strconv.Quote.
  test.each([
    ["plain text", '"plain text"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ["\u0000\u0001\u001b\u007f", '"\\x00\\x01\\x1b\\x7f"'],
    ["\u0007\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'],
    ["713.662µs ü 漢 🐳", '"713.662µs ü 漢 🐳"'],
    ["\u0085\u00a0\u2028\ufeff", '"\\u0085\\u00a0\\u2028\\ufeff"'],
    ["\u{e0001}", '"\\U000e0001"'],
    ["\ud800", '"\ufffd"'],
  ])("%j", (text, quoted) => {
    expect(quoteText(text)).toBe(quoted);
  });

  test("nothing unprintable is left, and the quotes close where they should", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const escaped = escapeText(text);
        expect(escaped).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        expect(escaped.replace(/\\./gsu, "")).not.toContain('"');
      }),
    );
  });
});
