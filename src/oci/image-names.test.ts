import { describe, expect, test } from "bun:test";
import { DigestInvalidError, NameInvalidError, TagInvalidError } from "./errors.ts";
import { parseDeletedName, parseImageName } from "./image-names.ts";

const digest = `sha256:${"a".repeat(64)}`;

describe("the name of an image", () => {
  test.each([
    ["app", { repository: "app", tag: null, digest: null }],
    ["team/app:v1.2", { repository: "team/app", tag: "v1.2", digest: null }],
    [`app@${digest}`, { repository: "app", tag: null, digest }],
  ])("%s", (text, name) => {
    expect(parseImageName(text) as object).toEqual(name);
    expect(parseDeletedName(text) as object).toEqual({ ...name, number: null });
  });

  test("a deletion by its number", () => {
    const name: object = parseDeletedName("team/app#12");
    expect(name).toEqual({ repository: "team/app", tag: null, digest: null, number: 12 });
    expect(() => parseDeletedName("app#0")).toThrow(NameInvalidError);
    expect(() => parseDeletedName("app:v1#12")).toThrow(NameInvalidError);
  });

  test.each([
    ["", NameInvalidError],
    ["App", NameInvalidError],
    ["app:", TagInvalidError],
    ["localhost:5000/app", TagInvalidError],
    ["app:v1:v2", TagInvalidError],
    ["app@sha256:abc", DigestInvalidError],
    [`app:v1@${digest}`, NameInvalidError],
    [`@${digest}`, NameInvalidError],
  ])("not %p", (text, kind) => {
    expect(() => parseImageName(text)).toThrow(kind);
  });
});
