// A registry without services: index, storage and locks in memory, and pushes that do what the services
// do at the same steps. Time stands still unless a test moves it.
import { Collector, type CollectionEvent, type CollectionReport } from "../../src/gc/index.ts";
import type { CollectionParts, CollectOptions } from "../../src/gc/index.ts";
import { createUnhurriedIndex } from "./unhurried-index.ts";
import {
  type Digest,
  digestOf,
  type ManifestReference,
  parseManifest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../../src/oci/index.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import type { AcceptOutcome, Index, LeaseTerms } from "../../src/registry/ports/index.ts";
import type { Storage } from "../../src/registry/ports/storage.ts";
import { TreeFollower } from "../../src/registry/tree-follower.ts";
import { blobDataPath } from "../../src/storage/layout.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";

export const graceMs = 3_600_000;
const startMs = 1_700_000_000_000;

export interface Content {
  readonly layers?: readonly Digest[];
  readonly children?: readonly Digest[];
  readonly subject?: Digest;
  /** Makes one manifest differ from another of the same content. */
  readonly note?: string;
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";
export const emptyConfig = bytesOf("{}");

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Wraps the ports, so that a test can stop at a named call. */
export interface Wrapping {
  readonly index?: (index: Index) => Index;
  readonly storage?: (storage: Storage) => CollectionParts["storage"];
}

export class World {
  nowMs = startMs;
  readonly index: Index;
  readonly storage: Storage;
  readonly locks = new KeyedLocks<Digest>();
  readonly follower: TreeFollower;
  readonly collector: Collector;
  readonly parts: CollectionParts;
  readonly failures: unknown[] = [];

  constructor(wrapping: Wrapping = {}) {
    const storage = new MemoryStorage({ now: () => this.nowMs });
    const index = createUnhurriedIndex({ link: () => null, blobSizeBytes: () => null });
    this.index = index;
    this.storage = storage;
    this.follower = new TreeFollower({
      index,
      storage,
      reports: { error: (_, error) => this.failures.push(error), info: () => undefined },
    });
    this.parts = {
      index: wrapping.index?.(index) ?? index,
      storage: wrapping.storage?.(storage) ?? storage,
      locks: this.locks,
      clock: { now: () => this.nowMs },
      tree: { wake: () => undefined, catchUp: () => this.follower.catchUp() },
      pause: () => Promise.resolve(),
    };
    this.collector = new Collector(this.parts);
  }

  terms(caller = "ann"): LeaseTerms {
    return { caller, nowMs: this.nowMs, graceMs };
  }

  /** What uploads.ts does at the end of an upload: bytes, then the fact, under the exclusion. */
  async pushBlob(repository: RepositoryName, content: string, caller = "ann"): Promise<Digest> {
    const bytes = bytesOf(content);
    const digest = digestOf(bytes);
    await this.locks.run(digest, async () => {
      const known = await this.index.findBlobAnywhere(digest);
      const there = await this.storage.stat(blobDataPath(digest));
      if (known === null || there?.sizeBytes !== bytes.length) {
        await this.storage.putFile(blobDataPath(digest), bytes);
      }
      await this.index.finishUpload({
        id: null,
        repository,
        digest,
        sizeBytes: bytes.length,
        terms: this.terms(caller),
      });
    });
    return digest;
  }

  /** What manifests.ts does: everything required is there, with bytes, then bytes and fact. */
  async putManifest(
    repository: RepositoryName,
    content: Content,
    push: { readonly tag?: Tag; readonly caller?: string } = {},
  ): Promise<{ readonly digest: Digest; readonly outcome: AcceptOutcome }> {
    const bytes = manifestBytes(content);
    const manifest = parseManifest(bytes, "");
    const digest = digestOf(bytes);
    const required = manifest.references.filter(({ kind }) => kind !== "subject");
    const missing = await this.#withoutBytes(repository, required);
    if (missing.length > 0) return { digest, outcome: { accepted: false, missing } };
    const outcome = await this.locks.run(digest, async () => {
      const known = await this.index.findBlobAnywhere(digest);
      if (known === null) await this.storage.putFile(blobDataPath(digest), bytes);
      return await this.index.acceptManifest({
        repository,
        digest,
        sizeBytes: bytes.length,
        manifest,
        tags: push.tag === undefined ? [] : [push.tag],
        required,
        leaseManifest: push.tag === undefined,
        terms: this.terms(push.caller),
      });
    });
    return { digest, outcome };
  }

  async #withoutBytes(
    repository: RepositoryName,
    required: readonly ManifestReference[],
  ): Promise<Digest[]> {
    const missing: Digest[] = [];
    for (const { digest } of required) {
      const blob = await this.index.findBlob(repository, digest);
      if (blob === null || !(await this.hasBytes(digest))) missing.push(digest);
    }
    return missing;
  }

  /** @throws when it was not accepted. */
  async pushManifest(
    repository: RepositoryName,
    content: Content,
    push: { readonly tag?: Tag; readonly caller?: string } = {},
  ): Promise<Digest> {
    if (content.children === undefined) {
      await this.pushBlob(repository, "{}", push.caller);
    }
    const { digest, outcome } = await this.putManifest(repository, content, push);
    if (!outcome.accepted) throw new Error(`refused: ${outcome.missing.join(", ")} missing`);
    return digest;
  }

  async hasBytes(digest: Digest): Promise<boolean> {
    return (await this.storage.stat(blobDataPath(digest))) !== null;
  }

  /** Whether the manifest answers, with everything that it needs in this repository, bytes included. */
  async isPullable(repository: RepositoryName, digest: Digest, content: Content): Promise<boolean> {
    const manifest = await this.index.findManifest(repository, digest);
    if (manifest === null || !(await this.hasBytes(digest))) return false;
    const needed = [...(content.layers ?? []), ...(content.children ?? [])];
    if (content.children === undefined) needed.push(digestOf(emptyConfig));
    return (await this.#withoutBytes(repository, needed.map(toReference))).length === 0;
  }

  async collect(
    options: Partial<CollectOptions> = {},
  ): Promise<{ report: CollectionReport; events: CollectionEvent[] }> {
    const events: CollectionEvent[] = [];
    const wanted: CollectOptions = {
      dryRun: false,
      untagged: false,
      full: false,
      foreignGraceMs: graceMs,
      listing: "nothing",
      ...options,
    };
    const report = await this.collector.collect(wanted, (event) => void events.push(event));
    return { report, events };
  }

  /** Every blob with bytes in the storage. */
  async stored(): Promise<Digest[]> {
    const found: Digest[] = [];
    const blobs = "/docker/registry/v2/blobs/sha256";
    for await (const shard of this.storage.list(blobs)) {
      for await (const { name } of this.storage.list(`${blobs}/${shard.name}`)) {
        const digest = `sha256:${name}` as Digest;
        if (await this.hasBytes(digest)) found.push(digest);
      }
    }
    return found.sort();
  }
}

function toReference(digest: Digest): ManifestReference {
  return { digest, kind: "blob" };
}

export function manifestBytes(content: Content): Uint8Array {
  const descriptor = (mediaType: string) => (digest: Digest) => ({ mediaType, digest, size: 1 });
  const subject =
    content.subject === undefined ? {} : { subject: descriptor(manifestType)(content.subject) };
  const note = content.note === undefined ? {} : { annotations: { note: content.note } };
  const body =
    content.children === undefined
      ? {
          schemaVersion: 2,
          mediaType: manifestType,
          config: descriptor("application/vnd.oci.image.config.v1+json")(digestOf(emptyConfig)),
          layers: (content.layers ?? []).map(
            descriptor("application/vnd.oci.image.layer.v1.tar+gzip"),
          ),
        }
      : {
          schemaVersion: 2,
          mediaType: indexType,
          manifests: content.children.map(descriptor(manifestType)),
        };
  return bytesOf(JSON.stringify({ ...body, ...subject, ...note }));
}

export const repository = parseRepositoryName("a/one");
export const otherRepository = parseRepositoryName("b/two");
export const tag = parseTag("latest");
