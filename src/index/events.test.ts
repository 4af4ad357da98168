// Every event that may make garbage puts its candidates into the queue, in the transaction of its fact:
// after each of them a look at everything (`--full`) finds nothing that the queue had missed. And when a
// row of the queue is taken away by force, it is found, and counted.
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { blobNo, contentOf, repo, tag } from "../../test/contract/index/world.ts";
import { operations } from "./operations.ts";
import { enqueuePage } from "./snapshots.ts";
import { manifestCandidates } from "./standing.ts";
import { migrate, Sql } from "./sql.ts";

const hourMs = 3_600_000;
const startMs = 1_700_000_000_000;
const a = repo("a");
const b = repo("b");
const queues = ["blob_candidates", "manifest_candidates", "repository_candidates"] as const;

class Bench {
  readonly sql: Sql;
  nowMs = startMs;

  constructor() {
    this.sql = new Sql(new Database(":memory:", { strict: true }));
    migrate(this.sql);
  }

  get terms() {
    return { caller: "ann", nowMs: this.nowMs, graceMs: hourMs };
  }

  upload(n: number, repository = a): void {
    const { terms } = this;
    const finished = { id: null, repository, digest: blobNo(n), sizeBytes: n, terms };
    operations.finishUpload(this.context, finished);
  }

  put(spec: Parameters<typeof contentOf>[0], tags: readonly string[] = ["latest"]) {
    const { digest, bytes, manifest } = contentOf(spec);
    const outcome = operations.acceptManifest(this.context, {
      repository: a,
      digest,
      sizeBytes: bytes.length,
      manifest,
      tags: tags.map(tag),
      leaseManifest: tags.length === 0,
      required: manifest.references.filter(({ kind }) => kind === "blob" || kind === "manifest"),
      terms: this.terms,
    });
    expect(outcome.accepted).toBe(true);
    return digest;
  }

  get context() {
    return { sql: this.sql, probe: { link: () => null, blobSizeBytes: () => null }, room: null };
  }

  /** Takes out of the queue, as a collection does, whatever is held now. */
  settle(): void {
    for (const queue of queues) this.sql.run(`DELETE FROM ${queue}`);
    this.missed();
    const rows = queues.map((queue) => this.sql.all(`SELECT * FROM ${queue}`).length);
    expect(rows).toEqual([0, 0, 0]);
  }

  /** What a look at everything finds beyond the queue. */
  missed(): number {
    let missed = 0;
    for (const what of ["manifests", "layers", "blobs", "repositories"] as const) {
      let after: string | null = null;
      do {
        const page = enqueuePage(this.sql, { what, after, limit: 2, nowMs: this.nowMs });
        missed += page.missed;
        after = page.next;
      } while (after !== null);
    }
    return missed;
  }
}

interface Event {
  readonly name: string;
  /** An image that everything holds, or nothing at all, unless the event needs something else. */
  readonly before?: (bench: Bench) => void;
  readonly happens: (bench: Bench) => void;
  /** The event by itself leaves something that nothing holds. */
  readonly queue: (typeof queues)[number];
}

const image = { config: blobNo(1), layers: [blobNo(2), blobNo(3)] };
function pushImage(bench: Bench): void {
  for (const n of [1, 2, 3]) bench.upload(n);
  bench.put(image);
}

const events: readonly Event[] = [
  {
    name: "manifest deleted",
    before: pushImage,
    happens: ({ context, nowMs }) =>
      operations.deleteManifest(context, { repository: a, digest: contentOf(image).digest }, nowMs),
    queue: "blob_candidates",
  },
  {
    name: "tag moved",
    before: pushImage,
    happens: (bench) => bench.put({ config: blobNo(1) }),
    queue: "manifest_candidates",
  },
  {
    name: "tag deleted",
    before: pushImage,
    happens: ({ context, nowMs }) =>
      operations.deleteTag(context, { repository: a, tag: tag("latest") }, nowMs),
    queue: "manifest_candidates",
  },
  {
    name: "upload finished",
    happens: (bench) => {
      bench.upload(9);
    },
    queue: "blob_candidates",
  },
  {
    name: "mount",
    before: pushImage,
    happens: ({ context, terms }) =>
      operations.mountBlob(context, { digest: blobNo(2), from: a, to: b, terms }),
    queue: "blob_candidates",
  },
  {
    name: "lease taken by a look",
    before: pushImage,
    happens: ({ context, terms }) =>
      operations.findAndLeaseBlob(context, { repository: a, digest: blobNo(2) }, terms),
    queue: "blob_candidates",
  },
  {
    name: "manifest pushed by digest",
    before: pushImage,
    happens: (bench) => bench.put({ config: blobNo(1) }, []),
    queue: "manifest_candidates",
  },
  {
    name: "blob unlinked",
    before: (bench) => {
      pushImage(bench);
      bench.upload(9);
      bench.sql.run("DELETE FROM leases");
    },
    happens: ({ context, nowMs }) =>
      operations.unlinkBlob(context, { repository: a, digest: blobNo(9) }, nowMs),
    queue: "blob_candidates",
  },
  {
    name: "subject gone",
    before: (bench) => {
      pushImage(bench);
      bench.put({ config: blobNo(1), subject: contentOf(image).digest }, []);
      bench.sql.run("DELETE FROM leases");
    },
    happens: ({ context, nowMs }) =>
      operations.deleteManifest(context, { repository: a, digest: contentOf(image).digest }, nowMs),
    queue: "manifest_candidates",
  },
  {
    name: "lease expired",
    before: (bench) => {
      bench.upload(9);
      bench.nowMs += 2 * hourMs;
    },
    happens: ({ context, nowMs }) => operations.expireLeases(context, { nowMs, limit: 9 }),
    queue: "repository_candidates",
  },
  {
    name: "upload abandoned",
    before: ({ context, terms }) => {
      const upload = { id: "one", repository: a, startedAtMs: startMs, terms };
      operations.beginUpload(context, upload);
    },
    happens: ({ context, nowMs }) => operations.expireUpload(context, "one", nowMs + 1),
    queue: "repository_candidates",
  },
  {
    name: "repository emptied",
    before: (bench) => {
      bench.upload(9);
      bench.sql.run("DELETE FROM leases");
    },
    happens: ({ context, nowMs }) =>
      operations.unlinkBlob(context, { repository: a, digest: blobNo(9) }, nowMs),
    queue: "repository_candidates",
  },
];

describe("every event puts its candidates into the queue", () => {
  for (const { name, before, happens, queue } of events) {
    test(name, () => {
      const bench = new Bench();
      before?.(bench);
      if (!["lease expired", "blob unlinked", "repository emptied"].includes(name)) bench.settle();
      happens(bench);
      expect(bench.missed()).toBe(0);
      expect(bench.sql.all(`SELECT * FROM ${queue}`)).not.toEqual([]);
    });
  }

  test.each(["mounted elsewhere", "unlinked"])(
    "a manifest whose own bytes are %s loses its lease, and is due at once",
    (how) => {
      const bench = new Bench();
      pushImage(bench);
      const digest = bench.put({ config: blobNo(1) }, []);
      const { context, nowMs, sql, terms } = bench;
      // As the end of an upload of the same bytes, and a collection that saw the lease, leave it.
      const finished = { id: null, repository: a, digest, sizeBytes: 9, terms };
      operations.finishUpload(context, finished);
      sql.run("UPDATE manifest_candidates SET due_at = ?", nowMs + hourMs);
      if (how === "unlinked") operations.unlinkBlob(context, { repository: a, digest }, nowMs);
      else operations.mountBlob(context, { digest, from: a, to: b, terms });
      const page = {
        after: null,
        limit: 9,
        nowMs,
        policy: { untagged: true, untaggedBeforeMs: nowMs },
      };
      expect(manifestCandidates(sql, page)).toMatchObject([{ digest, keptBy: null }]);
    },
  );

  test.each([
    ["manifest deleted", "blob_candidates"],
    ["tag moved", "manifest_candidates"],
    ["upload finished", "blob_candidates"],
    ["subject gone", "manifest_candidates"],
    ["upload abandoned", "repository_candidates"],
    ["repository emptied", "repository_candidates"],
  ] as const)("%s: a row taken out of the queue by force is found and counted", (name, queue) => {
    const bench = new Bench();
    const event = events.find((one) => one.name === name);
    event?.before?.(bench);
    event?.happens(bench);
    expect(bench.missed()).toBe(0);
    const taken = bench.sql.run(`DELETE FROM ${queue}`);
    expect(taken).toBeGreaterThan(0);
    expect(bench.missed()).toBeGreaterThan(0);
    expect(bench.missed()).toBe(0);
  });
});
