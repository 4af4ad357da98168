import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { digestOf, parseRepositoryName } from "../../oci/index.ts";
import { blobDataPath, layerLinkPath, repositoryDirectory } from "../layout.ts";
import { FilesystemStorage } from "./filesystem-storage.ts";
import { FilesystemTreeProbe } from "./tree-probe.ts";

const digest = digestOf(Buffer.from("needed"));
const garbage = digestOf(Buffer.from("garbage"));
const real = parseRepositoryName("real");
const second = parseRepositoryName("second");
const link = layerLinkPath(real, digest);
let root: string;
let storage: FilesystemStorage;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "alias-"));
  storage = new FilesystemStorage(root);
  for (const [path, content] of [
    [link, digest],
    [blobDataPath(digest), "needed"],
  ] as const) {
    mkdirSync(dirname(root + path), { recursive: true });
    writeFileSync(root + path, content);
  }
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function symlink(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path);
}

describe("INV-7: by a second name in the same tree nothing is removed", () => {
  test.each(["", "/_layers", "/_layers/sha256"])(
    "a link behind a repository's %p",
    async (part) => {
      symlink(root + repositoryDirectory(real) + part, root + repositoryDirectory(second) + part);
      await storage.applyChanges([{ path: layerLinkPath(second, digest), content: null }]);
      expect(existsSync(root + link)).toBe(true);
    },
  );

  test("the bytes of a blob: an error that says so", () => {
    symlink(dirname(root + blobDataPath(digest)), dirname(root + blobDataPath(garbage)));
    expect(storage.remove(blobDataPath(garbage))).rejects.toThrow("symbolic link");
    expect(existsSync(root + blobDataPath(digest))).toBe(true);
  });

  test("nor does a link count as there", () => {
    const place = { kind: "layer", repository: second, digest } as const;
    symlink(root + repositoryDirectory(real), root + repositoryDirectory(second));
    expect(new FilesystemTreeProbe(root).link(place)).toBeNull();
    expect(new FilesystemTreeProbe(root).link({ ...place, repository: real })).toBe(digest);
  });
});

describe("what an operator has moved out of the tree is removed as if it were in place", () => {
  test("a link, and the bytes of a blob", async () => {
    const elsewhere = join(root, "elsewhere");
    mkdirSync(join(elsewhere, "blob", digest.slice(7)), { recursive: true });
    writeFileSync(join(elsewhere, "blob", digest.slice(7), "data"), "needed");
    rmSync(dirname(root + blobDataPath(digest)), { recursive: true });
    symlink(join(elsewhere, "blob", digest.slice(7)), dirname(root + blobDataPath(digest)));
    await storage.remove(blobDataPath(digest));
    expect(existsSync(join(elsewhere, "blob", digest.slice(7), "data"))).toBe(false);
  });

  test("the root itself reached by a symbolic link", async () => {
    const name = `${root}-link`;
    symlinkSync(root, name);
    try {
      const storageByLink = new FilesystemStorage(name);
      await storageByLink.applyChanges([{ path: link, content: null }]);
      expect(existsSync(root + link)).toBe(false);
    } finally {
      rmSync(name);
    }
  });
});
