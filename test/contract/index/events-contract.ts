// The queue of events: there is one exactly when its change is, for everybody who asked for it, once.
import { describe, expect, test } from "bun:test";
import type { Digest } from "../../../src/oci/index.ts";
import type {
  Index,
  QueuedEvent,
  RegistryEvent,
  RunRecord,
} from "../../../src/registry/ports/index.ts";
import { type RequestOrigin, requestOrigin } from "../../../src/registry/ports/request-origin.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { deletionBy, deleteTag, restore, wantedOf } from "./undo.ts";
import { blobNo, hourMs, repo, tag } from "./world.ts";

async function taken(index: Index, endpoint: string): Promise<RegistryEvent[]> {
  const events: RegistryEvent[] = [];
  for (;;) {
    const page = await index.nextEvents(endpoint, 3);
    const last = page?.at(-1);
    if (page === null || last === undefined) return events;
    events.push(...page.map(({ event }) => event));
    await index.settleEvents(endpoint, { position: last.position, id: last.event.id });
  }
}

const told = ({ action, what, repository, digest, tag: name }: RegistryEvent): unknown[] => [
  action,
  what,
  repository,
  digest,
  name,
];

const origin: RequestOrigin = {
  requestId: "r1",
  addr: "127.0.0.1:1",
  host: "r.example",
  method: "PUT",
  userAgent: "x",
  user: "alice",
  base: "http://r.example/v2/",
};

function settle(index: Index, endpoint: string, upTo: QueuedEvent | undefined): Promise<void> {
  return index.settleEvents(endpoint, { position: upTo?.position ?? 0, id: upTo?.event.id ?? "" });
}

export function eventsContract(driver: IndexDriver): void {
  describe("events", () => {
    const world = worldOf(driver);

    test("nobody asked: nothing is queued, and an endpoint gets what happens from then on", async () => {
      const { index } = world();
      await world().upload("a", 1);
      expect(await index.nextEvents("one", 9)).toBeNull();
      await index.setEventEndpoints(["one"]);
      expect(await index.nextEvents("one", 9)).toEqual([]);
      await world().upload("a", 2);
      await index.setEventEndpoints(["one", "two"]);
      await world().upload("a", 3);
      const digests = async (name: string) => (await taken(index, name)).map((one) => one.digest);
      expect(await digests("one")).toEqual([blobNo(2), blobNo(3)]);
      expect(await digests("two")).toEqual([blobNo(3)]);
      expect(await digests("two")).toEqual([]);
    });

    test("of each change, with what it was; of what was refused or changed nothing, none", async () => {
      const { index } = world();
      await index.setEventEndpoints(["one"]);
      await world().upload("a", 1);
      await index.mountBlob({
        digest: blobNo(1),
        from: repo("a"),
        to: repo("b"),
        terms: world().terms(),
      });
      await index.mountBlob({
        digest: blobNo(9),
        from: repo("a"),
        to: repo("b"),
        terms: world().terms(),
      });
      const refused = await world().put("a", { config: blobNo(77), tags: ["x"] });
      expect(refused.outcome.accepted).toBe(false);
      const { digest } = await world().put("a", { config: blobNo(1), tags: ["x", "y"] });
      const other = await world().put("a", {
        config: blobNo(1),
        more: { annotations: { n: "1" } },
      });
      const { nowMs } = world();
      expect(await index.deleteTag(repo("a"), tag("y"), nowMs)).toBe("deleted");
      expect(await index.deleteTag(repo("a"), tag("y"), nowMs)).toBe("unknown");
      await index.deleteManifest(repo("a"), digest, nowMs);
      await index.deleteManifest(repo("a"), digest, nowMs);
      await world().deleteRestorably(repo("a"), other.digest);
      await index.unlinkBlob(repo("b"), blobNo(1), nowMs);
      const events = await taken(index, "one");
      expect(events.map(told)).toEqual([
        ["push", "blob", "a", blobNo(1), null],
        ["mount", "blob", "b", blobNo(1), null],
        ["push", "manifest", "a", digest, "x"],
        ["push", "manifest", "a", digest, "y"],
        ["push", "manifest", "a", other.digest, null],
        ["delete", "tag", "a", null, "y"],
        ["delete", "manifest", "a", digest, null],
        ["delete", "manifest", "a", other.digest, null],
        ["delete", "blob", "b", blobNo(1), null],
      ]);
      expect(events[1]?.fromRepository).toBe(repo("a"));
      expect(events[0]?.sizeBytes).toBe(1);
      expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    });

    test("of deletions that can be undone, one each; of a repository one, at its end", async () => {
      const { index } = world();
      const one = await world().image("a", { blobs: [1], tags: ["x", "y"] });
      const two = await world().image("a", { blobs: [2], tags: ["z"] });
      await index.setEventEndpoints(["one"]);
      const deletion = {
        nowMs: world().nowMs,
        deletedBy: "alice",
        reason: "client",
        isRestorable: true,
      } as const;
      await index.deleteTagRestorably({ repository: repo("a"), tag: tag("x") }, deletion);
      await index.deleteTagRestorably({ repository: repo("a"), tag: tag("x") }, deletion);
      await index.deleteImage({ repository: repo("a"), digest: two }, deletion);
      await index.deleteImage({ repository: repo("a"), digest: two }, deletion);
      while ((await index.deleteRepository(repo("a"), deletion)).more);
      expect((await taken(index, "one")).map(told)).toEqual([
        ["delete", "tag", "a", null, "x"],
        ["delete", "manifest", "a", two, null],
        ["delete", "repository", "a", null, null],
      ]);
      expect(one).not.toBe(two);
    });

    test("they name the request, where there was one", async () => {
      const { index } = world();
      await index.setEventEndpoints(["one"]);
      await requestOrigin.run(origin, () => world().upload("a", 1));
      await world().upload("a", 2);
      const events = await taken(index, "one");
      expect(events.map((event) => event.origin)).toEqual([origin, null]);
    });

    test("who has had one never gets it again; who has not keeps it; who is gone keeps nothing", async () => {
      const { index } = world();
      await index.setEventEndpoints(["fast", "slow"]);
      for (const n of [1, 2, 3]) await world().upload("a", n);
      expect(await taken(index, "fast")).toHaveLength(3);
      const slow = await index.nextEvents("slow", 9);
      expect(slow).toHaveLength(3);
      await settle(index, "slow", slow?.[1]);
      // An older answer that comes late takes nothing back.
      await settle(index, "slow", slow?.[0]);
      expect(await index.nextEvents("slow", 9)).toEqual(slow?.slice(2) ?? []);
      await index.setEventEndpoints([]);
      expect(await index.nextEvents("slow", 9)).toBeNull();
      await index.setEventEndpoints(["slow"]);
      expect(await index.nextEvents("slow", 9)).toEqual([]);
      await world().upload("a", 4);
      expect(await taken(index, "slow")).toHaveLength(1);
    });

    test("what was taken out of a lost index settles nothing of the one built in its place", async () => {
      const { index } = world();
      await index.setEventEndpoints(["one"]);
      for (const n of [1, 2, 3]) await world().upload("a", n);
      const queue = await index.nextEvents("one", 9);
      // Of another event in the same place, and of a place that is yet to come.
      const id = "of the lost one";
      await index.settleEvents("one", { position: queue?.[1]?.position ?? 0, id });
      await index.settleEvents("one", { position: 1_000_000, id });
      expect(await index.nextEvents("one", 9)).toEqual(queue);
      await world().upload("a", 4);
      expect(await taken(index, "one")).toHaveLength(4);
    });

    test("a repository whose last page is full is told of as deleted all the same", async () => {
      const { index } = world();
      // One image with as much as a page takes (deleting-images.ts): nothing is left for another.
      const children: Digest[] = [];
      for (let n = 0; n < 60; n++) children.push(await world().image("a", { blobs: [n] }));
      await world().put("a", { children, tags: ["x"] });
      await index.setEventEndpoints(["one"]);
      const deletion = {
        nowMs: world().nowMs,
        deletedBy: "alice",
        reason: "client",
        isRestorable: true,
      } as const;
      while ((await index.deleteRepository(repo("a"), deletion)).more);
      expect((await taken(index, "one")).map(told)).toEqual([
        ["delete", "repository", "a", null, null],
      ]);
    });

    test("a rebuild of the facts leaves the queue alone", async () => {
      const { index } = world();
      await index.setEventEndpoints(["one"]);
      await world().upload("a", 1);
      await index.startRebuild();
      expect(await taken(index, "one")).toHaveLength(1);
      await index.markComplete();
    });

    test("of what rules and the collector remove, in whose name", async () => {
      const { index } = world();
      const one = await world().image("a", { blobs: [1], tags: ["x", "y"] });
      const two = await world().image("a", { blobs: [2], tags: ["z", "kept"] });
      const untagged = await world().put("a", {
        config: blobNo(2),
        more: { annotations: { n: "1" } },
      });
      await index.setEventEndpoints(["one"]);
      world().nowMs += 48 * hourMs;
      const facts = await index.retentionTags(repo("a"), { after: null, limit: 9 });
      const images = [...Map.groupBy(facts, ({ digest }) => digest)].map(([digest, tags]) => ({
        digest,
        imagePushedAtMs: tags[0]?.imagePushedAtMs ?? null,
        pulledAtMs: tags[0]?.pulledAtMs ?? null,
        tags: tags.filter((fact) => fact.tag !== "kept"),
      }));
      const deletion = { ...deletionBy(world(), "retention"), reason: "retention rule r" };
      await index.retireImages({ repository: repo("a"), images, witnesses: [], deletion });
      const { nowMs } = world();
      const policy = { untagged: true, untaggedBeforeMs: nowMs };
      const manifest = { repository: repo("a"), digest: untagged.digest };
      await index.removeManifests([manifest], { nowMs, policy });
      const events = await taken(index, "one");
      expect(events.map(told)).toEqual([
        ["delete", "tag", "a", null, "z"],
        ["delete", "manifest", "a", one, null],
        ["delete", "manifest", "a", untagged.digest, null],
      ]);
      expect(new Set(events.map(({ actor }) => actor))).toEqual(
        new Set(["retention", "collector"]),
      );
      expect(two).not.toBe(one);
    });

    test("of what comes back, as of pushes: what is needed first; of what could not, none", async () => {
      const { index } = world();
      const child = await world().image("a", { blobs: [1] });
      const { digest } = await world().put("a", { children: [child], tags: ["x", "y"] });
      await index.deleteImage({ repository: repo("a"), digest }, deletionBy(world()));
      await index.setEventEndpoints(["one"]);
      expect((await restore(world(), wantedOf("a", digest))).outcome).toBe("restored");
      const events = await taken(index, "one");
      expect(events.map(told)).toEqual([
        ["restore", "manifest", "a", child, null],
        ["restore", "manifest", "a", digest, "x"],
        ["restore", "manifest", "a", digest, "y"],
      ]);
      expect(events[1]?.mediaType).toContain("index");
      await deleteTag(world(), "a", "x");
      expect((await restore(world(), wantedOf("a", "x"))).outcome).toBe("restored");
      await restore(world(), wantedOf("a", "x"));
      expect((await taken(index, "one")).map(told)).toEqual([
        ["delete", "tag", "a", null, "x"],
        ["restore", "manifest", "a", digest, "x"],
      ]);
    });

    test("of a collection one, with its figures, when its record is ended", async () => {
      const { index } = world();
      await index.setEventEndpoints(["one"]);
      const record: RunRecord = {
        askedBy: "background",
        user: null,
        trigger: "due",
        startedAtMs: 0,
        durationMs: 12,
        untagged: false,
        full: false,
        candidates: 9,
        manifests: 1,
        blobs: 100_000,
        bytes: 5,
        links: 1,
        uploads: 0,
        repositories: 0,
        steppedOver: { count: 2, atLeast: false },
        errors: ["a secret path"],
        stopped: null,
      };
      const id = await index.beginRun({ ...record, durationMs: null });
      expect(await index.nextEvents("one", 9)).toEqual([]);
      await index.endRun(id, record);
      const [event, ...others] = await taken(index, "one");
      expect(others).toEqual([]);
      expect(event).toMatchObject({
        action: "collect",
        what: "run",
        repository: null,
        actor: "collector",
        run: {
          run: id,
          trigger: "due",
          blobs: 100_000,
          bytesReclaimed: 5,
          errors: 1,
          steppedOver: 2,
        },
      });
    });

    test("what an endpoint leaves that is gone goes in pages, and who comes meanwhile misses nothing", async () => {
      const { index } = world();
      await index.setEventEndpoints(["gone"]);
      const pull = (n: number): RegistryEvent => ({
        id: `${n}`,
        atMs: 5,
        action: "pull",
        what: "manifest",
        repository: repo("a"),
        digest: blobNo(1),
        tag: null,
        mediaType: "a/b",
        sizeBytes: 7,
        fromRepository: null,
        origin: null,
      });
      const pulls = Array.from({ length: 2_500 }, (_, n) => pull(n));
      expect(await index.queueEvents(pulls)).toBe(true);
      expect(await index.setEventEndpoints(["new"])).toBe(true);
      expect(await index.nextEvents("gone", 9)).toBeNull();
      await world().upload("a", 1);
      let pages = 1;
      while (await index.forgetEvents()) pages += 1;
      expect(pages).toBe(2);
      expect(await index.forgetEvents()).toBe(false);
      expect((await taken(index, "new")).map(told)).toEqual([
        ["push", "blob", "a", blobNo(1), null],
      ]);
      expect((await index.countPage({ what: "events", after: null, limit: 9 })).count).toBe(0);
    });

    test("pulls are queued while somebody is to be told, and only then", async () => {
      const { index } = world();
      const pull: RegistryEvent = {
        id: "1",
        atMs: 5,
        action: "pull",
        what: "manifest",
        repository: repo("a"),
        digest: blobNo(1),
        tag: tag("x"),
        mediaType: "a/b",
        sizeBytes: 7,
        fromRepository: null,
        origin,
      };
      await index.queueEvents([pull]);
      await index.setEventEndpoints(["one"]);
      await index.queueEvents([pull, { ...pull, id: "2" }]);
      expect(await taken(index, "one")).toEqual([pull, { ...pull, id: "2" }]);
    });
  });
}
