import { expect, test } from "bun:test";
import { goDuration } from "./request-log.ts";

test.each([
  [0, "0µs"],
  [0.087343, "87.343µs"],
  [1.427595, "1.427595ms"],
  [11.5, "11.5ms"],
  [2500, "2.5s"],
  [61_000, "1m1s"],
  [3_723_500, "1h2m3.5s"],
])("goDuration(%p) is %s", (ms, text) => {
  expect(goDuration(ms)).toBe(text);
});
