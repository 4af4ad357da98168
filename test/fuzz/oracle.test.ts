// The fuzzer's own judgement: what it must object to, and what not. A fuzzer that cannot fail proves nothing.
import { describe, expect, test } from "bun:test";
import { digestOf, type Digest, type RepositoryName, type Tag } from "../../src/oci/index.ts";
import {
  blobDataPath,
  layerLinkPath,
  quarantinePath,
  revisionLinkPath,
  rootIdPath,
  tagCurrentLinkPath,
  tagIndexLinkPath,
  uploadDataPath,
  uploadStartedAtPath,
} from "../../src/storage/layout.ts";
import type { Asked } from "./asked.ts";
import { secretMark } from "./nasty.ts";
import { checkAnswer, type Rules } from "./oracle.ts";
import { isOfLayout, problemOf } from "./surroundings.ts";
import type { Answer } from "./wire.ts";

const rules: Rules = { secrets: ["hidden"], isReadOnly: false, isGuarded: false, prefix: "" };
const asked: Asked = { method: "GET", target: "/v2/", headers: [["Host", "a"]], body: null };
const ours = { "docker-distribution-api-version": "registry/2.0" };
const json = { ...ours, "content-type": "application/json; charset=utf-8" };

function answer(status: number, headers: Record<string, string>, body = ""): Answer {
  return { status, headers: new Map(Object.entries(headers)), body: Buffer.from(body) };
}

const refusal = '{"errors":[{"code":"DENIED","message":"no"}]}';
const busy = '{"errors":[{"code":"UNAVAILABLE","message":"later"}]}';
const read = { ...rules, isReadOnly: true };
const guarded = { ...rules, isGuarded: true };
const put: Asked = { ...asked, method: "PUT", target: "/v2/play/a/manifests/latest" };
const wrongDigest = { ...json, "docker-content-digest": digestOf(Buffer.from("x")) };

const bad: readonly (readonly [what: string, answer: Answer, asked?: Asked, rules?: Rules])[] = [
  ["a server error", answer(500, json, '{"errors":[{"code":"UNKNOWN","message":"x"}]}')],
  ["503 that does not say when to come again", answer(503, json, busy)],
  ["a refusal that is no JSON", answer(404, json, "not found")],
  ["a refusal of another type", answer(404, { ...ours, "content-type": "text/html" }, refusal)],
  ["a refusal without a code", answer(404, json, '{"errors":[{}]}')],
  ["a refusal without errors", answer(404, json, "{}")],
  ["a path in a message", answer(400, json, refusal.replace("no", "open /tmp/x"))],
  ["a secret", answer(200, json, "hidden")],
  ["a secret in a header", answer(200, { ...json, location: "/hidden" })],
  ["a header that was injected", answer(200, { ...json, "x-injected": "1" })],
  ["the runtime's word on a right request", answer(400, {})],
  ["a change while read-only", answer(201, json), put, read],
  ["a change by nobody", answer(201, json), { ...put, credentials: "none" }, guarded],
  ["what is private", answer(200, json), { ...put, method: "GET", credentials: "forged" }, guarded],
  ["other bytes than the digest's", answer(200, wrongDigest, "y")],
];

const good: typeof bad = [
  ["a refusal", answer(403, json, refusal)],
  ["a refusal of the API", answer(404, json, '{"error":{"code":"GONE","message":"x"}}')],
  ["a refusal to HEAD", answer(404, json), { ...asked, method: "HEAD" }],
  ["too much at once", answer(503, { ...json, "retry-after": "1" }, busy)],
  ["a change by who may", answer(201, json), { ...put, credentials: "right" }, guarded],
  ["what the digest names", answer(200, wrongDigest, "x")],
  ["the runtime's word on what is no HTTP", answer(505, {}), { ...asked, target: "/a b" }],
];

function judge(...[given, to = asked, by = rules]: readonly [Answer, Asked?, Rules?]): void {
  checkAnswer(by, to, given);
}

describe("an answer", () => {
  for (const [what, ...judged] of bad) {
    test(`objects to ${what}`, () => expect(() => judge(...judged)).toThrow());
  }
  for (const [what, ...judged] of good) {
    test(`has nothing against ${what}`, () => expect(() => judge(...judged)).not.toThrow());
  }
});

test("every path that the layout makes is one, and no other", () => {
  const repository = "team/a.b" as RepositoryName;
  const tag = "v1.0_x" as Tag;
  const digests: readonly Digest[] = [
    digestOf(Buffer.from("x")),
    digestOf(Buffer.from("x"), "sha512"),
  ];
  const upload = crypto.randomUUID();
  const paths = digests.flatMap((digest) => [
    blobDataPath(digest),
    layerLinkPath(repository, digest),
    revisionLinkPath(repository, digest),
    tagIndexLinkPath(repository, tag, digest),
    quarantinePath(digest, 1),
    quarantinePath(digest, 12),
  ]);
  paths.push(
    rootIdPath,
    tagCurrentLinkPath(repository, tag),
    uploadDataPath(repository, upload),
    uploadStartedAtPath(repository, upload),
    "/plimsoll/index.db-wal",
  );
  for (const path of paths) expect([path, isOfLayout(path.slice(1))]).toEqual([path, true]);
  const others = [
    "etc/passwd",
    "plimsoll/other",
    paths[0]?.slice(1).replace("/data", ""),
    layerLinkPath("../../x" as RepositoryName, digests[0] as Digest).slice(1),
    tagCurrentLinkPath(repository, "-x" as Tag).slice(1),
    uploadDataPath(repository, "..").slice(1),
  ];
  for (const path of others) expect([path, isOfLayout(path ?? "")]).toEqual([path, false]);
});

test("a log line with a secret, a control character, an error or of no form is objected to", () => {
  const line = (rest: string): string => `time="2026-01-01T00:00:00.000Z" level=info msg=x${rest}`;
  const access = (text: string): string =>
    `127.0.0.1 - - [26/Nov/2026:06:25:13 +0000] "GET ${text} HTTP/1.1" 404 77 "" "curl"`;
  const login = Buffer.from(`alice:${secretMark}`).toString("base64");
  const objectionable = [
    line(` a=${secretMark}`),
    line(` a="Basic ${login}"`),
    access(`/?x=${Buffer.from(`bob:x-${secretMark}`).toString("base64")}`),
    line(" a=eyJhbGciOiJub25lIiwiYSI6MX0.eyJzdWIi"),
    line(' a="\u001b[2J"'),
    line(" and then something else entirely = 5"),
    access('/" 200 5 "'),
    `time="2026-01-01T00:00:00.000Z" level=error msg="a request failed unexpectedly"`,
    "TypeError: undefined is not a function",
  ];
  for (const text of objectionable) expect([text, problemOf(text) === null]).toEqual([text, false]);
  for (const text of [line(' a="b \\" c" d.e=5'), access("/v2/"), "Listening on 127.0.0.1:1"]) {
    expect([text, problemOf(text)]).toEqual([text, null]);
  }
});
