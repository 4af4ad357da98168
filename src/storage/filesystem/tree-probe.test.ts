import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { digestOf, parseRepositoryName, parseTag } from "../../oci/index.ts";
import { blobDataPath, layerLinkPath, tagCurrentLinkPath } from "../layout.ts";
import { FilesystemTreeProbe } from "./tree-probe.ts";

const repository = parseRepositoryName("a/b");
const digest = digestOf(Buffer.from("x"));
const other = digestOf(Buffer.from("y"));
const tag = parseTag("latest");
let root: string;
let probe: FilesystemTreeProbe;

function put(path: string, content: string): void {
  mkdirSync(dirname(`${root}${path}`), { recursive: true });
  writeFileSync(`${root}${path}`, content);
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "tree-probe-"));
  probe = new FilesystemTreeProbe(root);
});
afterAll(() => {
  rmSync(root, { recursive: true });
});

describe("FilesystemTreeProbe", () => {
  test("a link's text, trimmed, an empty one too", () => {
    put(layerLinkPath(repository, digest), `${digest}\n`);
    expect(probe.link({ kind: "layer", repository, digest })).toBe(digest);
    put(tagCurrentLinkPath(repository, tag), "");
    expect(probe.link({ kind: "tag", repository, tag })).toBe("");
  });

  test("null where nothing is, where a directory is, and for a repository", () => {
    expect(probe.link({ kind: "revision", repository, digest })).toBeNull();
    mkdirSync(`${root}${layerLinkPath(repository, other)}`, { recursive: true });
    expect(probe.link({ kind: "layer", repository, digest: other })).toBeNull();
    expect(probe.link({ kind: "repository", repository })).toBeNull();
  });

  test("of a file that is no link, no more than shows it", () => {
    const wild = parseTag("wild");
    put(tagCurrentLinkPath(repository, wild), "z".repeat(1_000_000));
    expect(probe.link({ kind: "tag", repository, tag: wild })?.length).toBe(1024);
  });

  test("a link that cannot be read is an error, and not absent (INV-7)", () => {
    const loop = parseTag("loop");
    const path = `${root}${tagCurrentLinkPath(repository, loop)}`;
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync("link", path);
    expect(() => probe.link({ kind: "tag", repository, tag: loop })).toThrow("cannot read");
  });

  test("a blob's size; null where it is not or is no file", () => {
    put(blobDataPath(digest), "12345");
    expect(probe.blobSizeBytes(digest)).toBe(5);
    expect(probe.blobSizeBytes(other)).toBeNull();
    mkdirSync(`${root}${blobDataPath(other)}`, { recursive: true });
    expect(probe.blobSizeBytes(other)).toBeNull();
  });
});
