import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { NameInvalidError, digestOf, isRepositoryName } from "../oci/index.ts";
import { parseRoute } from "./route.ts";
import { queryValue, queryValues, splitTarget } from "./target.ts";

const digest = digestOf(Buffer.from("x"));

describe("parseRoute", () => {
  test.each<[string, object]>([
    ["/", { kind: "root" }],
    ["/v2", { kind: "base" }],
    ["/v2/", { kind: "base" }],
    ["/v2/_catalog", { kind: "catalog" }],
    ["/v2/a/tags/list", { kind: "tags", repository: "a" }],
    ["/v2/a/b/c/tags/list", { kind: "tags", repository: "a/b/c" }],
    ["/v2/a/manifests/v1", { kind: "manifest", repository: "a", reference: "v1" }],
    [`/v2/a/blobs/${digest}`, { kind: "blob", repository: "a", digest }],
    ["/v2/a/blobs/uploads/", { kind: "uploads", repository: "a" }],
    ["/v2/a/blobs/uploads", { kind: "uploads", repository: "a" }],
    ["/v2/a/blobs/uploads/id", { kind: "upload", repository: "a", id: "id" }],
    [`/v2/a/referrers/${digest}`, { kind: "referrers", repository: "a", digest }],
    ["/v2/a", { kind: "none" }],
    ["/v2/a/tags/list/", { kind: "none" }],
    ["/v3/a/tags/list", { kind: "none" }],
    ["/v2x", { kind: "none" }],
  ])("%s", (path, expected) => {
    expect(parseRoute(path, "/")).toEqual(expected as never);
  });

  test.each<[string, object]>([
    [
      "/v2/manifests/tags/blobs/manifests/list",
      { kind: "manifest", repository: "manifests/tags/blobs", reference: "list" },
    ],
    ["/v2/tags/list/tags/list", { kind: "tags", repository: "tags/list" }],
    ["/v2/a/blobs/uploads/manifests/v1", { kind: "manifest", repository: "a/blobs/uploads" }],
    ["/v2/v2/tags/list", { kind: "tags", repository: "v2" }],
  ])("a name may hold the words of the API: %s", (path, expected) => {
    expect(parseRoute(path, "/")).toMatchObject(expected);
  });

  test.each([
    "/v2/A/tags/list",
    "/v2/a//b/tags/list",
    "/v2/_a/manifests/v1",
    "/v2/a/./b/tags/list",
    "/v2/a/../b/tags/list",
    "/v2/a/manifests/..",
    "/v2/a/blobs/uploads/..",
    "/v2/a%2Fb/tags/list",
    "/v2/a%5cb/tags/list",
    "/v2/a/manifests/%00",
    "/v2/a/manifests/%2e",
    "/v2/%E0%A4/tags/list",
  ])("refuses %s", (path) => {
    expect(() => parseRoute(path, "/")).toThrow(NameInvalidError);
  });

  test("decodes what is harmless", () => {
    expect(parseRoute("/v2/a/manifests/v1%2e0", "/")).toMatchObject({ reference: "v1.0" });
    expect(parseRoute("/v2/a/blobs/sha256%3Aab", "/")).toMatchObject({ digest: "sha256:ab" });
  });

  test("under a prefix", () => {
    expect(parseRoute("/x/y/v2/a/tags/list", "/x/y/")).toEqual({
      kind: "tags",
      repository: "a" as never,
    });
    expect(parseRoute("/v2/a/tags/list", "/x/y/")).toEqual({ kind: "none" });
    expect(parseRoute("/x/y", "/x/y/")).toEqual({ kind: "root" });
    expect(parseRoute("/", "/x/y/")).toEqual({ kind: "root" });
  });

  test("takes no time for hostile paths", () => {
    const names = ["a".repeat(8000), "a-".repeat(4000), "a/".repeat(4000), "%41".repeat(2600)];
    for (const name of names) expect(() => parseRoute(`/v2/${name}/tags/list`, "/")).toThrow();
  });
});

test("whatever the path, it is a route or a malformed name", () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "v2",
      "blobs",
      "uploads",
      "manifests",
      "tags",
      "list",
      "..",
      "%2e",
      "%",
      "_catalog",
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      try {
        const route = parseRoute(`/v2/${pieces.join("/")}`, "/");
        if ("repository" in route) expect(isRepositoryName(route.repository)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(NameInvalidError);
      }
    }),
    { numRuns: 2000 },
  );
});

describe("splitTarget", () => {
  test.each([
    ["http://a/v2/", "/v2/", ""],
    ["http://a:5000/v2/x?n=1&last=/a", "/v2/x", "n=1&last=/a"],
    ["/v2/x?y", "/v2/x", "y"],
    ["https://[::1]:5000/v2/x#y?z", "/v2/x", ""],
    ["http://a/?q#f", "/", "q"],
    ["//v2//x", "//v2//x", ""],
  ])("%s", (url, path, query) => {
    expect(splitTarget(url)).toEqual({ path, query });
  });
});

test("queryValue decodes, and takes the first", () => {
  expect(queryValue("a=1&b=x%2Fy+z&b=2", "b")).toBe("x/y z");
  expect(queryValues("b=1&b=2", "b")).toEqual(["1", "2"]);
  expect(queryValue("", "b")).toBeNull();
  expect(queryValue("%zz&b", "b")).toBe("");
});
