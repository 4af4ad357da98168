import { describe, expect, test } from "bun:test";
import { blobNo, repo, tag } from "../../test/contract/index/world.ts";
import type { UsageSummary } from "./summary.ts";
import { usageLines } from "./usage-lines.ts";

const nothing = { blobs: 0, bytes: 0 };
const summary: UsageSummary = {
  takenAtMs: 0,
  storedBytes: 12_345_678,
  blobs: 1_234,
  manifests: 1,
  repositories: 2,
  heldBytes: 12_000_000,
  restorable: nothing,
  leased: nothing,
  mayBeHeldBytes: 0,
  waiting: nothing,
  condemned: nothing,
  garbage: { ...nothing, atLeast: false },
  untagged: { manifests: 1, bytes: 2_000, atLeast: true },
  logicalBytes: 24_000_000,
  dedupeRatio: 1.944,
  unreadableManifests: 0,
  uploads: { sessions: 0, bytes: 0 },
  growth: [
    { days: 6.5, bytesPerDay: 1_500_000 },
    { days: 29, bytesPerDay: -2_000 },
  ],
};

describe("the reports in words", () => {
  test("a summary leaves out what is seldom there", () => {
    expect(usageLines({ kind: "summary", summary })).toEqual([
      "stored                      12.3 MB  1,234 blobs, 1 manifest, 2 repositories",
      "  held by repositories      12.0 MB",
      "    of it untagged           2.0 kB  at least 1 manifest; garbage-collect -m frees it",
      "  waiting for collection          0  0 blobs",
      "unfinished uploads                0  0 sessions",
      "without sharing             24.0 MB  1.94 times what is stored",
      "growth                      +1.5 MB  a day, over 6.5 days",
      "growth                      -2.0 kB  a day, over 29.0 days",
      "",
    ]);
    const some = { blobs: 1, bytes: 1_000 };
    const lines = usageLines({
      kind: "summary",
      summary: {
        ...summary,
        restorable: some,
        leased: some,
        condemned: some,
        mayBeHeldBytes: 1_000,
        garbage: { ...some, atLeast: false },
        unreadableManifests: 2,
      },
    }).join("\n");
    for (const text of [
      "of it garbage            1.0 kB  the next collection frees it",
      "restorable                 1.0 kB  deleted, held until it cannot be undone",
      "leased                     1.0 kB  somebody may be about to refer to it",
      "being removed              1.0 kB  by a collection",
      "perhaps held               1.0 kB  by manifests that cannot be read",
      "2 manifests cannot be read",
    ]) {
      expect(lines).toContain(text);
    }
  });

  test("tables fit into 80 columns but for names", () => {
    const bytes = { exclusiveBytes: 999_900_000, sharedBytes: 0, logicalBytes: 999_900_000 };
    const row = { repository: repo("a"), manifests: 123_456_789, tags: 1_234_567, ...bytes };
    const list = { rows: [row], count: 3, logicalBytes: 0, exclusiveBytes: 0 };
    expect(usageLines({ kind: "repositories", list })).toEqual([
      "exclusive    shared   logical  manifests     tags  repository",
      " 999.9 MB         0  999.9 MB  123456789  1234567  a",
      "            and 2 repositories more (--top)",
    ]);
    const image = { repository: repo("a"), tag: tag("x"), digest: blobNo(1), pushedAtMs: 0 };
    expect(usageLines({ kind: "tags", rows: [{ ...image, ...bytes, atLeast: false }] })[1]).toBe(
      " 999.9 MB         0  999.9 MB  1970-01-01  a:x",
    );
    const blob = { digest: blobNo(1), sizeBytes: 5_000, repositories: [], isHeldByMore: false };
    const lines = usageLines({ kind: "blobs", rows: [blob] });
    expect(lines).toEqual([`  5.0 kB ${blobNo(1)}`, "         no repository holds it"]);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("a preview says exactly what it would free, and what is not there", () => {
    const preview = { blobs: 1, bytes: 1_234, manifests: 0, atLeast: false };
    const unknown = [{ repository: repo("a"), reference: tag("x") }];
    expect(usageLines({ kind: "preview", preview: { ...preview, unknown } })).toEqual([
      "there is no a:x",
      "deleting would free 1234 bytes (1.2 kB): 1 blob, with 0 manifests",
    ]);
  });
});
