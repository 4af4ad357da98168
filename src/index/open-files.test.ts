import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenFiles } from "./open-files.ts";

describe("open files (INV-8)", () => {
  let directory = "";
  let path = "";
  let files: OpenFiles;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "plimsoll-files-"));
    path = join(directory, "index.db");
    writeFileSync(path, "content");
    writeFileSync(`${path}-wal`, "the log");
    files = new OpenFiles([path, `${path}-wal`]);
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  test("are unchanged while they only grow", () => {
    expect(files.areUnchanged()).toBe(true);
    appendFileSync(path, "more");
    appendFileSync(`${path}-wal`, "more");
    expect(files.areUnchanged()).toBe(true);
  });

  test("are unchanged when only what was claimed beyond the database is given back", () => {
    appendFileSync(path, "claimed for a commit that came to nothing");
    expect(files.areUnchanged(7)).toBe(true);
    truncateSync(path, 7);
    expect(files.areUnchanged(7)).toBe(true);
    truncateSync(path, 6);
    expect(files.areUnchanged(7)).toBe(false);
  });

  const changes: Record<string, (file: string) => void> = {
    removed: (file) => {
      rmSync(file);
    },
    renamed: (file) => {
      renameSync(file, `${file}.old`);
    },
    replaced: (file) => {
      copyFileSync(file, `${file}.new`);
      renameSync(`${file}.new`, file);
    },
    "cut short": (file) => {
      truncateSync(file, 1);
    },
    "cut short after they had grown": (file) => {
      appendFileSync(file, "more");
      files.areUnchanged();
      truncateSync(file, 9);
    },
  };
  for (const [name, change] of Object.entries(changes)) {
    test.each(["", "-wal"])(`are changed when index.db%s is ${name}`, (suffix) => {
      change(path + suffix);
      expect(files.areUnchanged()).toBe(false);
    });
  }

  test("may be cut by ourselves", () => {
    truncateSync(`${path}-wal`, 0);
    files.haveShrunk();
    expect(files.areUnchanged()).toBe(true);
  });

  test("must be there to begin with", () => {
    expect(() => new OpenFiles([join(directory, "nothing")])).toThrow();
  });
});
