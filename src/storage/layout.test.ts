import { describe, expect, test } from "bun:test";
import { parseDigest, parseRepositoryName, parseTag } from "../oci/index.ts";
import * as layout from "./layout.ts";

const hex = `ab${"0".repeat(62)}`;
const digest = parseDigest(`sha256:${hex}`);
const long = parseDigest(`sha512:cd${"0".repeat(126)}`);
const repository = parseRepositoryName("team/app");
const tag = parseTag("v1.0");
const v2 = "/docker/registry/v2";

describe("layout: paths are distribution's (registry/storage/paths.go)", () => {
  test("blobs", () => {
    expect(layout.blobDataPath(digest)).toBe(`${v2}/blobs/sha256/ab/${hex}/data`);
    expect(layout.blobDirectory(digest)).toBe(`${v2}/blobs/sha256/ab/${hex}`);
    expect(layout.blobShardDirectory(long)).toBe(`${v2}/blobs/sha512/cd`);
  });

  test("repositories", () => {
    const base = `${v2}/repositories/team/app`;
    expect(layout.repositoryDirectory(repository)).toBe(base);
    expect(layout.layerLinkPath(repository, digest)).toBe(`${base}/_layers/sha256/${hex}/link`);
    expect(layout.revisionLinkPath(repository, digest)).toBe(
      `${base}/_manifests/revisions/sha256/${hex}/link`,
    );
    expect(layout.tagDirectory(repository, tag)).toBe(`${base}/_manifests/tags/v1.0`);
    expect(layout.tagCurrentLinkPath(repository, tag)).toBe(
      `${base}/_manifests/tags/v1.0/current/link`,
    );
    expect(layout.tagIndexLinkPath(repository, tag, digest)).toBe(
      `${base}/_manifests/tags/v1.0/index/sha256/${hex}/link`,
    );
    expect(layout.uploadDataPath(repository, "1-2")).toBe(`${base}/_uploads/1-2/data`);
    expect(layout.uploadStartedAtPath(repository, "1-2")).toBe(`${base}/_uploads/1-2/startedat`);
  });

  test("places in the tree", () => {
    expect(layout.treePlacePath({ kind: "layer", repository, digest })).toBe(
      layout.layerLinkPath(repository, digest),
    );
    expect(layout.treePlacePath({ kind: "revision", repository, digest })).toBe(
      layout.revisionLinkPath(repository, digest),
    );
    expect(layout.treePlacePath({ kind: "tag", repository, tag })).toBe(
      layout.tagCurrentLinkPath(repository, tag),
    );
    expect(layout.treePlacePath({ kind: "tag-history", repository, tag, digest })).toBe(
      layout.tagIndexLinkPath(repository, tag, digest),
    );
    expect(layout.treePlacePath({ kind: "repository", repository })).toBe(
      layout.repositoryDirectory(repository),
    );
  });
});

describe("parseLink", () => {
  test("takes a digest with white space around it", () => {
    for (const text of [digest, `${digest}\n`, ` ${digest}\r\n`]) {
      expect(layout.parseLink(text)).toBe(digest);
    }
    expect(layout.parseLink(long)).toBe(long);
  });

  test("null for everything else", () => {
    for (const text of ["", "\n", "sha256:", `sha256:${hex}0`, hex, `md5:${hex}`, `${digest} x`]) {
      expect(layout.parseLink(text)).toBeNull();
    }
  });
});
