import { describe, expect, test } from "bun:test";
import { digestOf } from "../oci/index.ts";
import { planCollection } from "./plan.ts";
import {
  emptyConfig,
  graceMs,
  otherRepository,
  repository,
  tag,
  World,
} from "../../test/race/world.ts";

const config = digestOf(emptyConfig);

describe("a collection", () => {
  test("removes what was deleted and nothing else, and says how much", async () => {
    const world = new World();
    const kept = await world.pushBlob(repository, "kept");
    const shared = await world.pushBlob(repository, "shared");
    const gone = await world.pushBlob(repository, "gone layer");
    const image = await world.pushManifest(repository, { layers: [shared, gone] }, { tag });
    const other = await world.pushManifest(otherRepository, { layers: [] }, { tag });
    await world.pushBlob(otherRepository, "shared");
    const keeper = await world.pushManifest(otherRepository, { layers: [shared] }, { tag });
    const stays = await world.pushManifest(repository, { layers: [kept] }, { tag });
    expect((await world.index.deleteManifest(repository, image, world.nowMs)).outcome).toBe(
      "deleted",
    );
    const bytes = ((await world.storage.stat(pathOf(image)))?.sizeBytes ?? 0) + "gone layer".length;

    const { report, events } = await world.collect();
    expect(report).toMatchObject({ ok: true, completed: true, manifests: 0, blobs: 2, bytes });
    // The image's own repository does not use the shared layer any more.
    expect(report.links).toBe(2);
    expect(await world.stored()).toEqual([kept, shared, config, stays, keeper, other].sort());
    expect(events.filter(({ kind }) => kind === "blob-removed")).toHaveLength(2);
    expect(await world.index.findBlob(repository, gone)).toBeNull();
    expect(await world.index.findBlob(repository, shared)).toBeNull();
    expect(await world.index.findBlob(otherRepository, shared)).not.toBeNull();
    expect((await world.collect()).report).toMatchObject({ blobs: 0, links: 0, bytes: 0 });
    expect((await world.collect({ full: true })).report).toMatchObject({
      blobs: 0,
      queueMissed: 0,
    });
  });

  test("a dry run foretells exactly what a run then does, and changes nothing", async () => {
    const world = new World();
    await pushFamily(world);
    for (const untagged of [false, true]) {
      const before = await world.stored();
      const dry = await world.collect({ dryRun: true, untagged });
      expect(await world.stored()).toEqual(before);
      const real = await world.collect({ untagged });
      const { manifests, blobs, bytes } = real.report;
      expect(dry.report).toMatchObject({ manifests, blobs, bytes, ok: true });
      expect(blobs).toBeGreaterThan(0);
      for (const kind of ["manifest-eligible", "blob-eligible"] as const) {
        expect(digestsOf(dry.events, kind)).toEqual(digestsOf(real.events, kind));
      }
      expect(dry.report.untaggedKept).toEqual(real.report.untaggedKept);
    }
  });

  test("leases spare what a client may be about to refer to, and say so; later it goes", async () => {
    const world = new World();
    const layer = await world.pushBlob(repository, "layer");
    const first = await world.collect();
    expect(first.report).toMatchObject({ blobs: 0, ok: true });
    expect(first.report.spared.leased).toEqual({
      count: 1,
      bytes: 5,
      untilMs: world.nowMs + graceMs,
    });
    world.nowMs += graceMs;
    expect((await world.collect()).report).toMatchObject({ blobs: 1, links: 1, repositories: 1 });
    expect(await world.hasBytes(layer)).toBe(false);
    expect(await world.index.listKnownRepositories({ after: null, limit: 10 })).toEqual([]);
  });

  test("says what -m would free beyond, and -m frees just that", async () => {
    const world = new World();
    const old = await world.pushManifest(repository, { note: "old" }, { tag });
    await world.pushManifest(repository, { note: "new" }, { tag });
    const bytes = (await world.storage.stat(pathOf(old)))?.sizeBytes ?? 0;
    const { report } = await world.collect();
    expect(report.untaggedKept).toEqual({ count: 1, bytes, atLeast: false });
    expect((await world.collect({ untagged: true })).report).toMatchObject({
      manifests: 1,
      blobs: 1,
      bytes,
      untaggedKept: { count: 0, bytes: 0, atLeast: false },
    });
  });

  test("a lease that ended early puts nothing off", async () => {
    const world = new World();
    const child = await world.pushManifest(repository, { note: "child" });
    expect((await world.collect({ untagged: true })).report.manifests).toBe(0);
    // Accepting the index ends the lease of its child, which the collection has put off already.
    const index = await world.pushManifest(repository, { children: [child] }, { tag });
    await world.index.deleteManifest(repository, index, world.nowMs);
    expect((await world.collect({ untagged: true })).report).toMatchObject({ manifests: 1 });
    expect(await world.stored()).toEqual([]);
  });

  test("without -m a removed subject's referrers stay as children of what stays", async () => {
    const world = new World();
    const subject = await world.pushManifest(repository, { note: "subject" }, { tag });
    const referrer = await world.pushManifest(repository, { subject, note: "signature" });
    const index = await world.pushManifest(repository, { children: [referrer] }, { tag });
    await world.index.deleteTag(repository, tag, world.nowMs);
    await world.index.deleteManifest(repository, subject, world.nowMs);
    world.nowMs += graceMs;
    expect((await world.collect()).report.manifests).toBe(0);
    expect(await world.isPullable(repository, index, { children: [referrer] })).toBe(true);
    expect((await world.collect({ untagged: true })).report.manifests).toBe(2);
  });

  test("more than a page of what is due does not hide what was held before", async () => {
    const world = new World();
    for (let n = 0; n < 3; n++)
      await world.pushManifest(repository, { note: `held ${n}` }, { tag });
    expect((await world.collect()).report.untaggedKept.count).toBe(2);
    world.nowMs += 1;
    for (let n = 0; n < 120; n++) await world.pushManifest(repository, { note: `${n}` }, { tag });
    const page = { after: null, limit: 50, nowMs: world.nowMs };
    const policy = { untagged: true, untaggedBeforeMs: world.nowMs };
    const seen = new Set<string>();
    let after: readonly [number, number] | null = null;
    for (let n = 0; n < 3; n++) {
      const standings = await world.index.manifestCandidates({ ...page, after, policy });
      for (const { digest } of standings) seen.add(digest);
      after = standings.at(-1)?.position ?? null;
    }
    expect(seen.size).toBeGreaterThanOrEqual(122);
    expect((await world.collect({ untagged: true })).report.manifests).toBe(122);
  });

  test("a repository that is dropped leaves the blobs behind its links in the queue", async () => {
    const world = new World();
    const layer = await world.pushBlob(repository, "layer");
    await world.index.unlinkBlob(repository, layer, world.nowMs);
    expect(await world.index.dropEmptyRepositories(10)).toEqual([repository]);
    expect((await world.collect()).report.blobs).toBe(1);
  });

  test("a plan that holds all that it may says so; a run goes to the end", async () => {
    const world = new World();
    for (let n = 0; n < 12; n++) await world.pushManifest(repository, { note: `${n}` }, { tag });
    const options = { untagged: true, foreignGraceMs: graceMs, entriesMax: 10 };
    const plan = await planCollection(world.parts, options);
    expect(plan).toMatchObject({ truncated: true, manifests: { length: 10 } });
    expect((await world.collect({ untagged: true })).report.manifests).toBe(11);
  });

  test("marks name what stays and not what goes", async () => {
    const world = new World();
    const gone = await world.pushManifest(repository, { note: "old" }, { tag });
    const stays = await world.pushManifest(repository, { note: "new" }, { tag });
    for (const dryRun of [true, false]) {
      const { events } = await world.collect({ dryRun, untagged: true, listing: "marks" });
      expect(events).toContainEqual({ kind: "repository", repository });
      expect(digestsOf(events, "manifest-marked")).toEqual([stays]);
      expect(digestsOf(events, "blob-marked")).toEqual([config]);
      expect(digestsOf(events, "manifest-eligible")).toEqual([gone]);
    }
  });

  test("bytes that cannot be unlinked are told, stay condemned, and go with the next run", async () => {
    let isBroken = true;
    const world = new World({
      storage: (storage) => ({
        removeEmptyDirectories: (path, stopAt) => storage.removeEmptyDirectories(path, stopAt),
        remove: (path) =>
          isBroken ? Promise.reject(new Error("EACCES: permission denied")) : storage.remove(path),
      }),
    });
    const layer = await world.pushBlob(repository, "layer");
    await world.index.unlinkBlob(repository, layer, world.nowMs);
    const failed = await world.collect();
    expect(failed.report).toMatchObject({ ok: false, completed: true, blobs: 0, bytes: 0 });
    expect(failed.report.errors.join()).toContain(`${layer}: EACCES`);
    expect(await world.index.findBlobAnywhere(layer)).toBeNull();
    expect(await world.index.isCondemned(layer)).toBe(true);
    isBroken = false;
    const { report } = await world.collect();
    expect(report).toMatchObject({ ok: true, blobs: 1, bytes: 5 });
    expect(await world.stored()).toEqual([]);
  });

  test("INV-7: while a directory cannot be listed nothing goes, and the run says why", async () => {
    const world = new World();
    const layer = await world.pushBlob(repository, "layer");
    await world.index.unlinkBlob(repository, layer, world.nowMs);
    const problem = {
      kind: "unlistable-directory",
      repository,
      name: null,
      path: "/docker/registry/v2/repositories/a",
      detail: "EACCES",
    } as const;
    await world.index.recordProblems([problem], { first: true });
    for (const dryRun of [true, false]) {
      const { report, events } = await world.collect({ dryRun });
      expect(report).toMatchObject({ ok: false, blobs: 0, steppedOver: { count: 1 } });
      expect(report.errors.join()).toContain("cannot be listed");
      expect(events).toContainEqual({ kind: "stepped-over", problem });
    }
    expect(await world.hasBytes(layer)).toBe(true);
  });

  test("foreign bytes are spared while young; --grace 0s collects them", async () => {
    const world = new World();
    const layer = digestOf(emptyConfig);
    await world.storage.putFile(pathOf(layer), emptyConfig);
    await world.index.absorb(
      [{ kind: "blob", digest: layer, sizeBytes: 2, modifiedMs: world.nowMs }],
      { nowMs: world.nowMs, recheck: false },
    );
    expect((await world.collect({ full: true })).report).toMatchObject({
      blobs: 0,
      queueMissed: 1,
      spared: { foreign: { count: 1, bytes: 2, untilMs: world.nowMs + graceMs } },
    });
    expect((await world.collect({ foreignGraceMs: 0 })).report).toMatchObject({ blobs: 1 });
  });
});

describe("who asks while a run is under way", () => {
  test("joins it, and what was deleted meanwhile goes in the same run", async () => {
    const world = new World();
    const first = await world.pushBlob(repository, "first");
    const second = await world.pushBlob(repository, "second");
    await world.index.unlinkBlob(repository, first, world.nowMs);
    const joined: ReturnType<World["collect"]>[] = [];
    const events: string[] = [];
    const report = await world.collector.collect(
      { dryRun: false, untagged: false, full: false, foreignGraceMs: graceMs, listing: "nothing" },
      async (event) => {
        events.push(event.kind);
        if (event.kind !== "blob-removed" || joined.length > 0) return;
        await world.index.unlinkBlob(repository, second, world.nowMs);
        joined.push(world.collect());
      },
    );
    const [late] = await Promise.all(joined);
    expect(late?.report).toEqual(report);
    expect(report.blobs).toBe(2);
    expect(late?.events[0]).toMatchObject({ kind: "started", attached: true });
    expect(events.filter((kind) => kind === "started")).toHaveLength(1);
  });

  test("deletions that go on do not keep a run from ending", async () => {
    const world = new World();
    const pushUntagged = async (n: number): Promise<void> => {
      await world.pushManifest(repository, { note: `old ${n}` }, { tag });
      await world.pushManifest(repository, { note: `new ${n}` }, { tag });
    };
    await pushUntagged(0);
    let removed = 0;
    const events = 20;
    const report = await world.collector.collect(
      { dryRun: false, untagged: true, full: false, foreignGraceMs: graceMs, listing: "nothing" },
      async ({ kind }) => {
        if (kind !== "manifest-removed" || ++removed > events) return;
        world.nowMs += 1;
        await pushUntagged(removed);
      },
    );
    expect(report).toMatchObject({ completed: true, manifests: 1 });
    // What came meanwhile goes with the next one: what "new 0" tagged, and "old 1".
    expect((await world.collect({ untagged: true })).report).toMatchObject({ manifests: 2 });
  });

  test("waits its turn when it asks for more", async () => {
    const world = new World();
    await world.pushManifest(repository, { note: "old" }, { tag });
    await world.pushManifest(repository, { note: "new" }, { tag });
    const [plain, thorough] = await Promise.all([
      world.collect(),
      world.collect({ untagged: true }),
    ]);
    expect(plain.report.manifests).toBe(0);
    expect(thorough.report.manifests).toBe(1);
    expect(thorough.events[0]).toMatchObject({ kind: "started", attached: false });
  });

  test("who hangs up does not end it for others; the last one does", async () => {
    const world = new World();
    const layer = await world.pushBlob(repository, "layer");
    await world.index.unlinkBlob(repository, layer, world.nowMs);
    const options = {
      dryRun: false,
      untagged: false,
      full: false,
      foreignGraceMs: graceMs,
      listing: "nothing",
    } as const;
    const alone = new AbortController();
    const report = await world.collector.collect(
      options,
      ({ kind }) => {
        if (kind === "started") alone.abort();
      },
      alone.signal,
    );
    expect(report).toMatchObject({ completed: false, ok: false, blobs: 0 });
    expect(await world.hasBytes(layer)).toBe(true);
    const angry = world.collector.collect(options, () => {
      throw new Error("the terminal is gone");
    });
    expect(await angry).toMatchObject({ completed: true, ok: true, blobs: 1 });
  });

  test("who hangs up waits neither for those who stay, nor for a turn", async () => {
    const world = new World();
    await world.index.unlinkBlob(
      repository,
      await world.pushBlob(repository, "layer"),
      world.nowMs,
    );
    const options = {
      dryRun: false,
      untagged: false,
      full: false,
      foreignGraceMs: graceMs,
      listing: "nothing",
    } as const;
    const gate = Promise.withResolvers<void>();
    const person = world.collector.collect(options, () => gate.promise);
    const leaving = new AbortController();
    const { signal } = leaving;
    const joined = world.collector.collect(options, () => undefined, signal);
    const waiting = world.collector.collect({ ...options, full: true }, () => undefined, signal);
    await Bun.sleep(5);
    leaving.abort(new Error("its settings were changed"));
    for (const left of [joined, waiting]) {
      expect(await Promise.race([left, Bun.sleep(1_000)]).catch(String)).toBe(
        "Error: its settings were changed",
      );
    }
    gate.resolve();
    expect(await person).toMatchObject({ completed: true, ok: true, blobs: 1 });
  });

  test("stopping ends the run between two batches and refuses the next", async () => {
    const world = new World();
    const running = world.collect();
    await world.collector.stop();
    expect((await running).report.completed).toBe(false);
    expect(world.collect()).rejects.toThrow("stopping");
  });
});

function pathOf(digest: string): string {
  const hex = digest.slice(7);
  return `/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
}

function digestsOf(events: readonly object[], kind: string): string[] {
  return (events as { kind: string; digest: string }[])
    .filter((event) => event.kind === kind)
    .map(({ digest }) => digest)
    .sort();
}

/** A deleted index with children, one of them tagged; signatures of what goes and of what stays. */
async function pushFamily(world: World): Promise<void> {
  const layer = await world.pushBlob(repository, "layer of a child");
  const child = await world.pushManifest(repository, { layers: [layer] });
  const tagged = await world.pushManifest(repository, { note: "tagged child" }, { tag });
  const index = await world.pushManifest(repository, { children: [child, tagged] });
  const signature = await world.pushManifest(repository, { subject: index, note: "signature" });
  await world.pushManifest(repository, { subject: signature, note: "signature of it" });
  await world.pushManifest(repository, { subject: tagged, note: "signature of what stays" });
  await world.index.deleteManifest(repository, index, world.nowMs);
  world.nowMs += graceMs;
}
