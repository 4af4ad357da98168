import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeRootDirectory } from "./root-directory.ts";

const directory = mkdtempSync(join(tmpdir(), "root-directory-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("makes what is missing, and takes what is there", () => {
  const root = join(directory, "deep/er");
  makeRootDirectory(root);
  makeRootDirectory(root);
  expect(statSync(root).isDirectory()).toBe(true);
});

test("names the key, the directory and what was expected where that cannot be", () => {
  const file = join(directory, "file");
  writeFileSync(file, "");
  for (const root of [file, join(file, "below")]) {
    expect(() => makeRootDirectory(root)).toThrow(
      `storage.filesystem.rootdirectory: ${root} cannot be used; expected a directory`,
    );
  }
});
