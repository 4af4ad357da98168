// Leases (INV-5): what a client may be about to refer to is held for it.
import { describe, expect, test } from "bun:test";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, hourMs, repo } from "./world.ts";

const minuteMs = 60_000;

export function leaseContract(driver: IndexDriver): void {
  describe("leases (INV-5)", () => {
    const world = worldOf(driver);
    const head = (repository: string, n: number, caller?: string): Promise<unknown> =>
      world().index.findAndLeaseBlob(repo(repository), blobNo(n), world().terms(caller));

    test("the end of an upload leases the blob, in its repository, for the grace", async () => {
      await world().upload("a", 1);
      const standing = await world().blob("a", blobNo(1));
      expect(standing.leasedHereUntilMs).toBe(world().nowMs + hourMs);
      expect(standing.leasedUntilMs).toBe(world().nowMs + hourMs);
      world().nowMs += hourMs - 1;
      expect(await world().leasedFor("a", blobNo(1))).toBe(1);
      world().nowMs += 1;
      expect(await world().leasedFor("a", blobNo(1))).toBeNull();
    });

    test("a grace of part of a millisecond is a grace", async () => {
      const { index } = world();
      const terms = { ...world().terms(), graceMs: 0.5 };
      const digest = blobNo(1);
      await index.finishUpload({ id: null, repository: repo("a"), digest, sizeBytes: 1, terms });
      expect(await world().leasedFor("a", digest)).toBe(1);
    });

    test("a mount leases it in the new repository and moves the caller's lease there", async () => {
      await world().upload("a", 1, "alice");
      world().nowMs += minuteMs;
      await world().upload("a", 1, "bob");
      world().nowMs += minuteMs;
      const mount = { digest: blobNo(1), from: repo("a"), to: repo("b") };
      await world().index.mountBlob({ ...mount, terms: world().terms("bob") });
      expect(await world().leasedFor("b", blobNo(1))).toBe(hourMs);
      // Alice's is what is left in the old one.
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs - 2 * minuteMs);
      await world().index.mountBlob({ ...mount, terms: world().terms("alice") });
      expect(await world().leasedFor("a", blobNo(1))).toBeNull();
    });

    test("a mount within one repository leases it there", async () => {
      await world().upload("a", 1);
      world().nowMs += minuteMs;
      const mount = { digest: blobNo(1), from: repo("a"), to: repo("a"), terms: world().terms() };
      await world().index.mountBlob(mount);
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
    });

    test("a HEAD takes a lease on what is there, and none on what is not", async () => {
      const { index } = world();
      await world().image("a", { blobs: [1], tags: ["x"] });
      expect(await world().leasedFor("a", blobNo(1))).toBeNull();
      expect(await head("a", 1, "bob")).toEqual({ digest: blobNo(1), sizeBytes: 1 });
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
      expect(await head("b", 1)).toBeNull();
      expect(await head("a", 2)).toBeNull();
      expect(await index.listKnownRepositories({ after: null, limit: 9 })).toEqual([repo("a")]);
    });

    test("a HEAD renews a lease that has half of its time left, or less", async () => {
      await world().upload("a", 1);
      world().nowMs += hourMs / 2 - 1;
      await head("a", 1);
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs / 2 + 1);
      world().nowMs += 1;
      await head("a", 1);
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
    });

    test("each caller has a lease of its own", async () => {
      await world().upload("a", 1, "alice");
      world().nowMs += minuteMs;
      await head("a", 1, "bob");
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
    });

    test("HEAD alone renews for at most 24 hours; then the lease runs out", async () => {
      await world().image("a", { blobs: [1], tags: ["x"] });
      const startedMs = world().nowMs;
      let endMs = 0;
      for (let n = 0; n < 100; n++) {
        await head("a", 1);
        const left = (await world().leasedFor("a", blobNo(1))) ?? 0;
        endMs = world().nowMs + left;
        if (left < hourMs) break;
        world().nowMs += hourMs / 2;
      }
      expect(endMs - startedMs).toBe(24 * hourMs + hourMs / 2);
      // A push begins anew.
      await world().upload("a", 1);
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
    });

    test.each([true, false])(
      "a HEAD after the end takes a new lease, and makes a candidate again; swept: %p",
      async (swept) => {
        const { index } = world();
        await world().upload("a", 1);
        for (let n = 0; n < 60; n++) {
          await head("a", 1);
          world().nowMs += hourMs / 2;
        }
        world().nowMs += 100 * hourMs;
        if (swept) await index.expireLeases({ nowMs: world().nowMs, limit: 10 });
        await head("a", 1);
        expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
        const nowMs = world().nowMs + hourMs;
        const due = await index.blobCandidates({ after: null, limit: 9, nowMs });
        expect(due.map(({ digest }) => digest)).toEqual([blobNo(1)]);
      },
    );

    test("an accepted manifest ends its caller's leases on what it names, nobody else's", async () => {
      for (const caller of ["alice", "bob"]) {
        await world().upload("a", 1, caller);
        await world().upload("b", 1, caller);
        world().nowMs += minuteMs;
      }
      await world().upload("a", 2, "bob");
      await world().put("a", { config: blobNo(1), tags: ["x"], caller: "bob" });
      // Alice's, an instant older, is left in a; both in b; and bob's on what the manifest does not name.
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs - 2 * minuteMs);
      expect(await world().leasedFor("b", blobNo(1))).toBe(hourMs - minuteMs);
      expect(await world().leasedFor("a", blobNo(2))).toBe(hourMs);
      await world().put("a", { config: blobNo(1), tags: ["x"], caller: "alice" });
      expect(await world().leasedFor("a", blobNo(1))).toBeNull();
    });

    test("a refused manifest ends none", async () => {
      await world().upload("a", 1);
      const { outcome } = await world().put("a", { config: blobNo(1), layers: [blobNo(2)] });
      expect(outcome.accepted).toBe(false);
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
    });

    test("a manifest pushed by digest is leased, until the index that names it is accepted", async () => {
      const child = await world().image("a", { blobs: [1] });
      expect(await world().manifest("a", child)).toMatchObject({
        keptBy: "lease",
        leasedUntilMs: world().nowMs + hourMs,
      });
      const { digest } = await world().put("a", { children: [child] });
      expect((await world().manifest("a", child)).keptBy).toBe("namer");
      expect((await world().manifest("a", digest)).keptBy).toBe("lease");
      world().nowMs += hourMs;
      expect((await world().manifest("a", child)).keptBy).toBeNull();
      expect((await world().manifest("a", digest)).keptBy).toBeNull();
    });

    test("a manifest pushed by tag is not leased", async () => {
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      expect(await world().manifest("a", digest)).toMatchObject({
        keptBy: "tag",
        leasedUntilMs: null,
      });
    });

    test("a HEAD of a manifest by digest leases it", async () => {
      const { index } = world();
      const digest = await world().image("a", { blobs: [1], tags: ["x"] });
      const terms = world().terms("bob");
      const fact = await index.findManifest(repo("a"), digest);
      expect(await index.findAndLeaseManifest(repo("a"), digest, terms)).toEqual(fact);
      await index.deleteTag(repo("a"), "x" as never, world().nowMs);
      expect((await world().manifest("a", digest)).keptBy).toBe("lease");
      expect(await index.findAndLeaseManifest(repo("a"), blobNo(1), terms)).toBeNull();
      expect(await index.findAndLeaseManifest(repo("b"), digest, terms)).toBeNull();
    });

    test("an upload keeps its caller's leases in that repository alive, when they grow old", async () => {
      const { index } = world();
      for (const caller of ["alice", "bob"]) await world().upload("a", 1, caller);
      await world().upload("a", 2, "alice");
      await world().upload("b", 3, "alice");
      await world().upload("a", 4, "bob");
      const upload = { id: "one", repository: repo("a") };
      await index.beginUpload({
        ...upload,
        owner: null,
        startedAtMs: world().nowMs,
        terms: world().terms(),
      });
      world().nowMs += hourMs / 2;
      await index.touchUpload({ ...upload, terms: world().terms("alice") });
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
      expect(await world().leasedFor("a", blobNo(2))).toBe(hourMs);
      expect(await world().leasedFor("b", blobNo(3))).toBe(hourMs / 2);
      expect(await world().leasedFor("a", blobNo(4))).toBe(hourMs / 2);
      // Fresh ones are left as they are.
      world().nowMs += minuteMs;
      await index.touchUpload({ ...upload, terms: world().terms("alice") });
      expect(await world().leasedFor("a", blobNo(2))).toBe(hourMs - minuteMs);
      // What is over stays over.
      world().nowMs += 2 * hourMs;
      await index.touchUpload({ ...upload, terms: world().terms("alice") });
      expect(await world().leasedFor("a", blobNo(2))).toBeNull();
    });

    test("beginning an upload keeps them alive too", async () => {
      await world().upload("a", 1);
      world().nowMs += hourMs - minuteMs;
      const upload = { id: "one", repository: repo("a"), owner: null, startedAtMs: world().nowMs };
      await world().index.beginUpload({ ...upload, terms: world().terms() });
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
    });

    test("a later push never shortens a lease", async () => {
      await world().upload("a", 1);
      const terms = { ...world().terms(), graceMs: minuteMs };
      const again = { id: null, repository: repo("a"), digest: blobNo(1), sizeBytes: 1, terms };
      await world().index.finishUpload(again);
      expect(await world().leasedFor("a", blobNo(1))).toBe(hourMs);
    });

    test("leases that are over are forgotten, as many as asked; live ones stay", async () => {
      const { index } = world();
      for (const n of [1, 2, 3]) await world().upload("a", n);
      world().nowMs += minuteMs;
      await world().upload("a", 4);
      world().nowMs += hourMs - minuteMs;
      const { nowMs } = world();
      expect(await index.expireLeases({ nowMs, limit: 2 })).toBe(2);
      expect(await index.expireLeases({ nowMs, limit: 2 })).toBe(1);
      expect(await index.expireLeases({ nowMs, limit: 2 })).toBe(0);
      expect(await world().leasedFor("a", blobNo(4))).toBe(minuteMs);
    });

    test("what leaves the repository is leased there no more", async () => {
      const { index, nowMs } = world();
      await world().upload("a", 1, "alice");
      await world().upload("a", 1, "bob");
      await world().upload("b", 1, "bob");
      await index.unlinkBlob(repo("a"), blobNo(1), nowMs);
      expect((await world().blob("a", blobNo(1))).leasedHereUntilMs).toBeNull();
      expect((await world().blob("b", blobNo(1))).leasedUntilMs).toBe(nowMs + hourMs);
      await index.unlinkBlob(repo("b"), blobNo(1), nowMs);
      expect((await world().blob("b", blobNo(1))).leasedUntilMs).toBeNull();
    });
  });
}
