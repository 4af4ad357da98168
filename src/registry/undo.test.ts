// Deleting and restoring through the services: bytes that are not there (INV-9), what is refused, uploads
// of a repository that goes, what the log hears. The rules themselves are in the index's contract.
import { describe, expect, test } from "bun:test";
import { createMemoryIndex } from "../index/sqlite-index.ts";
import {
  BlobUploadUnknownError,
  DeniedError,
  type Digest,
  digestOf,
  parseRepositoryName,
  parseTag,
} from "../oci/index.ts";
import { blobDataPath } from "../storage/layout.ts";
import { MemoryStorage } from "../storage/memory.ts";
import type { AuditEntry } from "./audit.ts";
import { createRegistry, type RegistryServices } from "./create-registry.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import type { Index } from "./ports/index.ts";
import type { ServiceOptions } from "./services.ts";
import { runDelete, runRestore, tellDeletions } from "./undo-commands.ts";

const app = parseRepositoryName("app");
const v1 = parseTag("v1");
const hourMs = 3_600_000;
const ann = { caller: "ann", from: "10.0.0.1" };
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";

class World {
  nowMs = 1_700_000_000_000;
  readonly index: Index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
  readonly storage = new MemoryStorage({ now: () => this.nowMs });
  readonly heard: AuditEntry[] = [];
  readonly services: RegistryServices;

  constructor(options: Partial<ServiceOptions> = {}) {
    this.services = this.open(options);
  }

  open(options: Partial<ServiceOptions>): RegistryServices {
    return createRegistry({
      index: this.index,
      storage: this.storage,
      locks: new KeyedLocks<Digest>(),
      clock: { now: () => this.nowMs },
      reports: { error: () => undefined, info: () => undefined },
      followTree: () => undefined,
      treeLookup: () => null,
      audit: { record: (entry) => this.heard.push(entry) },
      options: {
        graceMs: hourMs,
        keepDeletedMs: 24 * hourMs,
        readOnly: false,
        validation: { urlsAllow: null, urlsDeny: [], indexChildren: "all" },
        ...options,
      },
    });
  }

  async upload(text: string): Promise<Digest> {
    const { uploads } = this.services;
    const bytes = Buffer.from(text);
    const digest = digestOf(bytes);
    const { id } = await uploads.begin(app, { caller: "ann", user: null, algorithm: "sha256" });
    const body = { stream: once(bytes), from: null, lengthBytes: null };
    await uploads.finish({ repository: app, id, caller: "ann", user: null }, digest, body);
    return digest;
  }

  async put(body: object, mediaType: string, tag: string | null): Promise<Digest> {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...body }));
    const { digest } = await this.services.manifests.put({
      repository: app,
      reference: tag === null ? digestOf(bytes) : parseTag(tag),
      tags: [],
      contentType: mediaType,
      bytes,
      algorithm: "sha256",
      caller: "ann",
    });
    return digest;
  }

  async image(text: string, tag: string | null): Promise<{ image: Digest; layer: Digest }> {
    const layer = await this.upload(text);
    const described = { mediaType: "a/b", digest: layer, size: text.length };
    const image = await this.put({ config: described, layers: [described] }, manifestType, tag);
    return { image, layer };
  }

  restore(wanted: { tag: typeof v1 } | { digest: Digest } | { id: number }, dryRun = false) {
    const options = { actor: ann, forceTags: false, dryRun };
    return this.services.restores.restore({ repository: app, ...wanted }, options);
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** What a command tells. */
async function told(
  run: (asker: { tell: (event: unknown) => Promise<void>; signal: AbortSignal }) => Promise<number>,
): Promise<{ events: unknown[]; code: number }> {
  const events: unknown[] = [];
  const tell = (event: unknown): Promise<void> => {
    events.push(JSON.parse(JSON.stringify(event)));
    return Promise.resolve();
  };
  const code = await run({ tell, signal: new AbortController().signal });
  return { events, code };
}

describe("restoring", () => {
  test("a manifest comes back byte for byte, with its media type, and the log hears of both", async () => {
    const world = new World();
    const { image } = await world.image("a layer", "v1");
    const before = await world.services.manifests.get(app, v1);
    await world.services.manifests.delete(app, image, "10.0.0.9");
    expect(await world.restore({ tag: v1 }, true)).toMatchObject({ outcome: "restored" });
    expect(await world.restore({ tag: v1 })).toMatchObject({ outcome: "restored", tags: [v1] });
    expect(await world.services.manifests.get(app, v1)).toEqual(before);
    const until = world.nowMs + 24 * hourMs;
    expect(world.heard).toMatchObject([
      {
        action: "delete",
        what: "manifest",
        repository: app,
        reference: image,
        actor: { caller: "10.0.0.9", from: "10.0.0.9" },
        outcome: "deleted",
        reason: "client",
        restorableUntilMs: until,
      },
      {
        action: "restore",
        what: "manifest",
        reference: v1,
        actor: ann,
        outcome: "restored",
        restorableUntilMs: null,
      },
    ]);
  });

  test("nothing comes back while bytes are missing, cut or altered (INV-9)", async () => {
    const world = new World();
    const { image, layer } = await world.image("a layer", "v1");
    await world.services.manifests.delete(app, v1, "ann");
    await world.services.manifests.delete(app, image, "ann");
    const refused = async (missing: Digest): Promise<void> => {
      expect(await world.restore({ digest: image })).toMatchObject({
        outcome: "missing",
        missing: [missing],
      });
    };
    const manifest = await world.storage.readSmall(blobDataPath(image), 10_000);
    await world.storage.remove(blobDataPath(layer));
    await refused(layer);
    await world.storage.putFile(blobDataPath(layer), Buffer.from("a la"));
    await refused(layer);
    await world.storage.putFile(blobDataPath(layer), Buffer.from("a layer"));
    await world.storage.putFile(blobDataPath(image), Buffer.from("{}"));
    await refused(image);
    const altered = Buffer.from(manifest ?? [])
      .toString()
      .replace("a/b", "b/a");
    await world.storage.putFile(blobDataPath(image), Buffer.from(altered));
    await refused(image);
    await world.storage.putFile(blobDataPath(image), manifest ?? new Uint8Array());
    expect(await world.restore({ digest: image })).toMatchObject({ outcome: "restored" });
  });

  test("a tag brings back with its image what has gone with the image since", async () => {
    const world = new World();
    const { image, layer } = await world.image("a layer", "v1");
    const { deletions, manifests } = world.services;
    await deletions.deleteTag({ repository: app, tag: v1 }, { ...ann, reason: "api" });
    const layers = [{ mediaType: "a/b", digest: layer, size: "a layer".length }];
    const subject = { mediaType: manifestType, digest: image, size: 1 };
    const signature = await world.put({ config: layers[0], layers, subject }, manifestType, null);
    world.nowMs += 2 * hourMs;
    await deletions.deleteImage({ repository: app, digest: image }, { ...ann, reason: "api" });
    expect(await world.restore({ tag: v1 })).toMatchObject({
      outcome: "restored",
      manifests: [image, signature],
      tags: [v1],
    });
    expect((await manifests.find(app, signature)).digest).toBe(signature);
    expect(await world.restore({ digest: image })).toEqual({ outcome: "there" });
  });

  test("of a number that belongs to another repository: unknown", async () => {
    const world = new World();
    const { image } = await world.image("a layer", "v1");
    await world.services.manifests.delete(app, image, "ann");
    const [entry] = await world.services.deletions.list({ after: null, limit: 9 });
    const options = { actor: ann, forceTags: false, dryRun: false };
    const other = parseRepositoryName("other");
    const id = entry?.id ?? 0;
    expect(await world.services.restores.restore({ repository: other, id }, options)).toEqual({
      outcome: "unknown",
    });
    expect(await world.restore({ id })).toMatchObject({ outcome: "restored" });
  });

  test("of a repository: an index whose child was deleted before it waits for the child", async () => {
    const world = new World();
    const { image } = await world.image("a layer", "child");
    const child = { mediaType: manifestType, digest: image, size: 1 };
    const parent = await world.put({ manifests: [child] }, indexType, "v1");
    await world.services.manifests.delete(app, image, "ann");
    world.nowMs += 1;
    await world.services.manifests.delete(app, parent, "ann");
    const outcomes: string[] = [];
    const options = { actor: ann, forceTags: false, dryRun: false };
    await world.services.restores.restoreRepository(app, options, (report) => {
      outcomes.push(report.outcome);
      return Promise.resolve();
    });
    expect(outcomes).toEqual(["restored", "restored"]);
    expect((await world.services.manifests.find(app, v1)).digest).toBe(parent);
  });

  test("is refused in read-only mode", async () => {
    const world = new World();
    const { image } = await world.image("a layer", "v1");
    await world.services.manifests.delete(app, image, "ann");
    const { restores, deletions } = world.open({ readOnly: true });
    const options = { actor: ann, forceTags: false, dryRun: false };
    expect(restores.restore({ repository: app, tag: v1 }, options)).rejects.toThrow(DeniedError);
    const deleter = { ...ann, reason: "test" };
    expect(deletions.deleteRepository(app, deleter)).rejects.toThrow(DeniedError);
    expect(deletions.deleteTag({ repository: app, tag: v1 }, deleter)).rejects.toThrow("read-only");
  });
});

describe("deleting", () => {
  test("by the OCI API: a tag can be brought back, unless nothing is kept", async () => {
    const world = new World();
    await world.image("a layer", "v1");
    await world.services.manifests.delete(app, v1, "ann");
    expect(await world.restore({ tag: v1 })).toMatchObject({ outcome: "restored" });
    const keepsNothing = world.open({ keepDeletedMs: 0 });
    await keepsNothing.manifests.delete(app, v1, "ann");
    expect(await world.restore({ tag: v1 })).toEqual({ outcome: "unknown" });
  });

  test("what cannot be read cannot be restored, and nobody is told otherwise", async () => {
    const world = new World();
    const { image } = await world.image("a layer", "v1");
    const { index, nowMs, services } = world;
    const bent = { kind: "revision", repository: app, digest: image, there: true } as const;
    await index.markComplete();
    await index.absorb([{ ...bent, manifest: null, sizeBytes: 7 }], { nowMs, recheck: false });
    const request = { names: ["app:v1", `app@${image}`], user: "ann", dryRun: false };
    const deleted = await told((asker) => runDelete(services.deletions, request, asker));
    expect(deleted.events).toMatchObject([
      { restorableUntilMs: null, result: { outcome: "deleted" } },
      { restorableUntilMs: null, result: { outcome: "deleted" } },
    ]);
    expect(world.heard.map((entry) => entry.restorableUntilMs)).toEqual([null, null]);
  });

  test("nothing goes where deleting is disabled", async () => {
    const world = new World();
    const { image } = await world.image("a layer", "v1");
    const { deletions } = world.open({ deleteEnabled: false });
    const deleter = { ...ann, reason: "test" };
    expect(deletions.deleteImage({ repository: app, digest: image }, deleter)).rejects.toThrow(
      "storage.delete.enabled",
    );
    expect((await world.services.manifests.find(app, v1)).digest).toBe(image);
  });

  test("a repository: its uploads end, one that receives bytes when these have arrived", async () => {
    const world = new World();
    const { uploads, deletions, catalog } = world.services;
    await world.image("a layer", "v1");
    const idle = await uploads.begin(app, { caller: "ann", user: null, algorithm: "sha256" });
    const busy = await uploads.begin(app, { caller: "ann", user: null, algorithm: "sha256" });
    const gate = Promise.withResolvers<void>();
    async function* slowly(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("first");
      await gate.promise;
      yield Buffer.from("last");
    }
    const upload = { repository: app, id: busy.id, caller: "ann", user: null };
    const body = { stream: slowly(), from: null, lengthBytes: null };
    const received = uploads.append(upload, body);
    expect(await deletions.deleteRepository(app, { ...ann, reason: "test" })).toEqual({
      outcome: "deleted",
      images: 1,
      manifests: 1,
      tags: 1,
      uploads: 2,
    });
    expect(await catalog.listRepositories({ after: null, limit: 9 })).toEqual([]);
    expect(uploads.status({ ...upload, id: idle.id })).rejects.toThrow(BlobUploadUnknownError);
    gate.resolve();
    expect(await received).toEqual({ sizeBytes: 9 });
    expect(uploads.status(upload)).rejects.toThrow(BlobUploadUnknownError);
    await uploads.settle();
    expect(await world.index.listUploads(app, { after: null, limit: 9 })).toEqual([]);
    expect(world.heard.at(-1)).toMatchObject({ what: "repository", reference: null });
  });
});

describe("a repository of which only a part could be deleted", () => {
  test("leaves a line that says so", async () => {
    const world = new World();
    await world.image("a layer", "v1");
    const { index } = world;
    const whole = index.deleteRepository.bind(index);
    let calls = 0;
    index.deleteRepository = async (...work) => {
      calls += 1;
      if (calls === 2) throw new Error("the disk is full");
      return { ...(await whole(...work)), more: true };
    };
    const deleter = { ...ann, reason: "test" };
    expect(world.services.deletions.deleteRepository(app, deleter)).rejects.toThrow("full");
    await Bun.sleep(0);
    expect(world.heard).toMatchObject([{ what: "repository", outcome: "deleted in part" }]);
    // It was stopped before anything went.
    world.heard.length = 0;
    const stopped = AbortSignal.abort();
    await world.services.deletions.deleteRepository(app, deleter, stopped);
    expect(world.heard).toEqual([]);
  });
});

describe("the commands", () => {
  test("delete, list and restore, as plain data", async () => {
    const world = new World();
    const { services } = world;
    const { deletions } = services;
    const { image } = await world.image("a layer", "v1");
    const request = { names: [`app@${image}`, "app:v2"], user: "ann", dryRun: true };
    const dry = await told((asker) => runDelete(deletions, request, asker));
    expect(dry.code).toBe(1);
    expect(dry.events).toMatchObject([
      { dryRun: true, result: { what: "image", outcome: "deleted", tags: ["v1"] } },
      { dryRun: true, result: { what: "tag", outcome: "unknown" } },
    ]);
    expect((await services.manifests.find(app, v1)).digest).toBe(image);
    const real = await told((asker) =>
      runDelete(deletions, { ...request, names: ["app"], dryRun: false }, asker),
    );
    expect(real).toMatchObject({ code: 0, events: [{ result: { manifests: 1, tags: 1 } }] });
    const list = await told((asker) => tellDeletions(services.deletions, { globs: [] }, asker));
    expect(list.events).toMatchObject([{ what: "image", deletedBy: "ann", reason: "command" }]);
    const none = await told((asker) =>
      tellDeletions(services.deletions, { globs: ["!app"] }, asker),
    );
    expect(none.events).toEqual([]);
    const asked = { user: "ann", dryRun: false, forceTags: false };
    const back = await told((asker) =>
      runRestore(services.restores, { ...asked, names: ["app", "app:v1", "app:v2"] }, asker),
    );
    expect(back.code).toBe(1);
    expect(back.events).toMatchObject([
      { report: { outcome: "restored", tags: ["v1"] } },
      { report: { outcome: "there" } },
      { report: { outcome: "unknown" } },
    ]);
  });

  test("an image that comes back without the tag that was named is no success", async () => {
    const world = new World();
    const { deletions, restores } = world.services;
    const { image } = await world.image("a layer", "v1");
    const request = { names: [`app@${image}`], user: "ann", dryRun: false };
    await told((asker) => runDelete(deletions, request, asker));
    await world.image("another layer", "v1");
    const asked = { user: "ann", dryRun: false, forceTags: false };
    const byTag = await told((asker) =>
      runRestore(restores, { ...asked, names: ["app:v1"] }, asker),
    );
    expect(byTag).toMatchObject({
      code: 1,
      events: [{ report: { outcome: "restored", tags: [], taken: [{ tag: "v1" }] } }],
    });
  });

  test("nothing goes when one of the names makes no sense", async () => {
    const world = new World();
    await world.image("a layer", "v1");
    const { deletions } = world.services;
    const request = { names: ["app:v1", "App"], user: "ann", dryRun: false };
    expect(told((asker) => runDelete(deletions, request, asker))).rejects.toThrow("App");
    expect(await world.index.findTag(app, v1)).not.toBeNull();
  });
});
