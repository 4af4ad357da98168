import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readWatched, WatchedFiles } from "./watched-files.ts";

const directory = mkdtempSync(join(tmpdir(), "watched-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
const path = (name: string): string => join(directory, name);

test("each change is seen once, at most once a second, and at once when the clock is put back", () => {
  let nowMs = 10_000;
  writeFileSync(path("a"), "1");
  const files = new WatchedFiles([path("a"), path("b")], { now: () => nowMs });
  expect(files.haveChanged()).toBe(true);
  writeFileSync(path("b"), "it is there now");
  expect(files.haveChanged()).toBe(false);
  nowMs += 1_000;
  expect(files.haveChanged()).toBe(true);
  nowMs += 1_000;
  expect(files.haveChanged()).toBe(false);
  rmSync(path("a"));
  nowMs = 5_000;
  expect(files.haveChanged()).toBe(true);
});

test("a file that is reached through a link that is turned has changed", () => {
  let nowMs = 0;
  writeFileSync(path("old"), "1");
  writeFileSync(path("new"), "1");
  symlinkSync(path("old"), path("link"));
  const files = new WatchedFiles([path("link")], { now: () => nowMs });
  files.haveChanged();
  symlinkSync(path("new"), path("turned"));
  renameSync(path("turned"), path("link"));
  nowMs += 1_000;
  expect(files.haveChanged()).toBe(true);
});

test("what is larger than its bound is not read", () => {
  writeFileSync(path("large"), "12345");
  expect(readWatched(path("large"), 5)).toBe("12345");
  expect(() => readWatched(path("large"), 4)).toThrow("larger than 4 bytes");
});
