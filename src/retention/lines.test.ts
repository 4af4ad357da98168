import { expect, test } from "bun:test";
import type { RetentionEvent, RetentionReport } from "./events.ts";
import { RetentionLines } from "./lines.ts";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
const atMs = Date.parse("2026-03-10T12:00:00Z");

const report: RetentionReport = {
  applied: true,
  repositories: 4,
  tagsKept: 7,
  tags: 1,
  manifests: 2,
  bytes: 1_234_567,
  atLeast: true,
  changed: 1,
  leased: 2,
  refused: 1,
  skipped: 1,
  completed: false,
  durationMs: 5,
};

function linesOf(events: readonly RetentionEvent[]): string[] {
  const printed: string[] = [];
  const lines = new RetentionLines((line) => printed.push(line));
  for (const event of events) lines.hear(event);
  return printed;
}

test("a repository is named once, and only when there is something to say of it", () => {
  const tag = { kind: "tag", tag: "build-1", digest, rule: "ci", pushedAtMs: atMs } as const;
  const a = { repository: "a" };
  expect(
    linesOf([
      { kind: "repository", repository: "quiet", tags: 0, manifests: 0, kept: {}, refused: [] },
      { ...tag, ...a, pulledAtMs: atMs, isImageKept: true },
      { kind: "untagged", ...a, digest, rule: "ci", untaggedSinceMs: atMs },
      { kind: "kept", ...a, tag: "v1", digest, rule: null, keptBy: "norule" },
      {
        kind: "repository",
        ...a,
        tags: 1,
        manifests: 1,
        kept: { newest: 2, norule: 1 },
        refused: [],
      },
      { kind: "repository", repository: "b", tags: 0, manifests: 0, kept: {}, refused: ["ci"] },
      { kind: "skipped", repository: "c", reason: "unjudgeable" },
    ]),
  ).toEqual([
    "a",
    "  build-1  sha256:0123456789ab  pushed 2026-03-10, pulled 2026-03-10  ci  (the tag alone: its image is needed)",
    "  sha256:0123456789ab  untagged since 2026-03-10  ci",
    "  keep v1  of no rule",
    "  stays: 2 newest, 1 of no rule",
    "b",
    "  refused: ci would leave no tag here; allowempty: true lets it",
    "  stays: no tag",
    "c",
    "  left alone: a manifest or tag in it cannot be read, so nothing is removed by policy (see verify)",
  ]);
});

test("the sum says what was left, and that it did not come to its end", () => {
  expect(linesOf([{ kind: "summary", report }])).toEqual([
    "",
    "removed 1 tag and 2 manifests in 4 repositories; 7 tags stay; at least 1234567 bytes (1.2 MB)",
    "1 image left: pushed or pulled meanwhile",
    "2 images left: a push may be about to refer to it",
    "in 1 of them a rule would have removed every tag: refused",
    "1 of them left alone",
    expect.stringContaining("gc.keepdeleted") as string,
    "stopped before the end",
  ]);
});
