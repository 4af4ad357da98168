import { expect, test } from "bun:test";
import { digestOf, parseTag } from "../oci/index.ts";
import { repository, tag, World } from "../../test/race/world.ts";
import { CollectionDocument } from "./collection-document.ts";
import type { CollectionEvent, CollectOptions } from "./collection-events.ts";
import { collectionLines } from "./collection-lines.ts";

const options: CollectOptions = {
  dryRun: false,
  untagged: true,
  full: true,
  foreignGraceMs: 0,
  listing: "marks",
};

/** One image deleted, one that lost its tag, one that stays, a layer that is leased. */
async function eventsOf(wanted: Partial<CollectOptions> = {}): Promise<CollectionEvent[]> {
  const world = new World();
  const layer = await world.pushBlob(repository, "twelve bytes");
  const old = await world.pushManifest(repository, { layers: [layer] }, { tag });
  await world.pushManifest(repository, { note: "untagged" }, { tag: parseTag("moves") });
  await world.pushManifest(repository, { note: "stays" }, { tag: parseTag("moves") });
  await world.pushBlob(repository, "leased");
  await world.index.deleteManifest(repository, old, world.nowMs);
  const { events } = await world.collect({ ...options, ...wanted });
  return events;
}

function render(events: readonly CollectionEvent[], quiet = false): { out: string; log: string } {
  const out: string[] = [];
  const log: string[] = [];
  const hear = collectionLines(
    {
      stdout: (line) => out.push(line),
      log: {
        info: (message) => log.push(`info ${message}`),
        warn: (message) => log.push(`warn ${message}`),
        error: (message) => log.push(`error ${message}`),
      },
    },
    { quiet },
  );
  for (const event of events) hear(event);
  return { out: out.join("\n"), log: log.join("\n") };
}

test("the classic's lines, on its streams and in its order, then our own", async () => {
  const { out, log } = render(await eventsOf());
  const digest = "sha256:[0-9a-f]{64}";
  const blobs = "/docker/registry/v2/blobs/sha256/[0-9a-f]{2}/[0-9a-f]{64}";
  expect(out).toMatch(
    new RegExp(
      `^a/one
manifest eligible for deletion: ${digest}
a/one: marking manifest ${digest}${" "}
a/one: marking blob ${digest}

3 blobs marked, 3 blobs and 1 manifests eligible for deletion
(a/one: layer link eligible for deletion: ${digest}\n)(blob eligible for deletion: ${digest}\n){3}`,
    ),
  );
  expect(out).toEndWith(
    "1 blobs (6 bytes) spared: a client may be about to refer to them, for another 60 minutes at most\n" +
      "0 candidates that the queue had missed\ntook 0.00 s",
  );
  expect(out).toMatch(/^\d+ bytes reclaimed \(\d\.\d kB\)$/m);
  expect(log.match(new RegExp(`^info Deleting blob: ${blobs}$`, "gm"))).toHaveLength(3);
  const repositories = "/docker/registry/v2/repositories/a/one";
  expect(log).toMatch(
    new RegExp(
      `^info deleting manifest tag reference: ${repositories}/_manifests/tags/moves/index/sha256/[0-9a-f]{64}
info deleting manifest: ${repositories}/_manifests/revisions/sha256/[0-9a-f]{64}
info Deleting layer link path: ${repositories}/_layers/sha256/[0-9a-f]{64}/link$`,
      "m",
    ),
  );
});

test("quiet silences stdout and no log line; a dry run logs no deletion", async () => {
  const events = await eventsOf();
  expect(render(events, true)).toEqual({ out: "", log: render(events).log });
  const dry = render(await eventsOf({ dryRun: true }));
  expect(dry.log).toBe("");
  expect(dry.out).toMatch(/^\d+ bytes reclaimable \(/m);
  expect(dry.out).toContain("3 blobs and 1 manifests eligible for deletion");
});

test("without -m the untagged manifests that stay are counted, and what they hold", async () => {
  const { out } = render(await eventsOf({ untagged: false, listing: "nothing" }));
  expect(out).toMatch(/^1 untagged manifests kept, holding \d+ bytes \(\d\.\d kB\); -m removes/m);
});

test("what failed and what was stepped over is logged", () => {
  const problem = {
    kind: "bad-link",
    repository,
    name: null,
    path: "/a/link",
    detail: "holds no digest",
  } as const;
  const { out, log } = render([
    { kind: "stepped-over", problem },
    { kind: "blob-failed", digest: digestOf(new Uint8Array()), message: "EACCES" },
  ]);
  expect(out).toBe("");
  expect(log).toBe("warn stepped over /a/link: holds no digest (bad-link)");
});

test("one JSON document with totals and lists", async () => {
  for (const dryRun of [false, true]) {
    const document = new CollectionDocument();
    expect(() => document.toJson()).toThrow("not ended");
    for (const event of await eventsOf({ dryRun })) document.hear(event);
    const parsed = JSON.parse(document.toJson()) as Record<string, unknown>;
    expect(parsed).toMatchObject({
      startedAt: "2023-11-14T22:13:20.000Z",
      dryRun,
      ok: true,
      manifests: 1,
      blobs: 3,
      blobsMarked: 3,
      listsTruncated: false,
    });
    expect(parsed["blobsEligible"]).toHaveLength(3);
    expect(parsed["manifestsEligible"]).toHaveLength(1);
    expect(parsed[dryRun ? "bytesReclaimable" : "bytesReclaimed"]).toBeGreaterThan(12);
  }
});
