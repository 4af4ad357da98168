// A registry in small: pushes, looks and collects through the port, with a clock of its own.
import {
  type Digest,
  digestOf,
  mediaTypes,
  type ParsedManifest,
  parseManifest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../../../src/oci/index.ts";
import type {
  AcceptOutcome,
  BlobStanding,
  Index,
  LeaseTerms,
  ManifestStanding,
  PushBounds,
  RedoRecord,
} from "../../../src/registry/ports/index.ts";
import type { IndexFixture, TreeFixture } from "./fixture.ts";

const encode = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
export const repo = (name: string): RepositoryName => parseRepositoryName(name);
export const tag = (name: string): Tag => parseTag(name);
/** The digest of blob number n. Its size is n bytes. */
export const blobNo = (n: number): Digest => digestOf(encode(`blob ${n}`));
export const tagNames = (names: readonly string[]): Tag[] => names.map(tag);

export const hourMs = 3_600_000;

export interface ManifestSpec {
  readonly layers?: readonly Digest[];
  readonly config?: Digest;
  /** Makes it an index. */
  readonly children?: readonly Digest[];
  readonly subject?: Digest;
  readonly more?: object;
}

export interface Content {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly manifest: ParsedManifest;
}

export function contentOf(spec: ManifestSpec): Content {
  const descriptor = (digest: Digest): object => ({ mediaType: "a/b", digest, size: 1 });
  const mediaType = spec.children === undefined ? mediaTypes.ociManifest : mediaTypes.ociIndex;
  const members =
    spec.children === undefined
      ? {
          config: descriptor(spec.config ?? spec.layers?.[0] ?? blobNo(1)),
          layers: (spec.layers ?? []).map(descriptor),
        }
      : { manifests: spec.children.map(descriptor) };
  const subject = spec.subject === undefined ? {} : { subject: descriptor(spec.subject) };
  const json = { schemaVersion: 2, mediaType, ...members, ...subject, ...spec.more };
  const bytes = encode(json);
  return { digest: digestOf(bytes), bytes, manifest: parseManifest(bytes, mediaType) };
}

export interface Push extends ManifestSpec {
  readonly tags?: readonly string[];
  readonly caller?: string;
  readonly bounds?: PushBounds;
  readonly indexLevelsMax?: number;
}

export class World {
  readonly index: Index;
  readonly tree: TreeFixture;
  readonly graceMs = hourMs;
  nowMs = 1_700_000_000_000;
  /** Manifests that were put, accepted or not. */
  readonly contents = new Map<Digest, Content>();

  constructor(fixture: IndexFixture) {
    this.index = fixture.index;
    this.tree = fixture.tree;
  }

  terms(caller = "alice"): LeaseTerms {
    return { caller, nowMs: this.nowMs, graceMs: this.graceMs };
  }

  /** Uploads blob number n, of n bytes. */
  async upload(repository: string, n: number, caller = "alice"): Promise<Digest> {
    const digest = blobNo(n);
    await this.index.finishUpload({
      id: null,
      repository: repo(repository),
      digest,
      sizeBytes: n,
      terms: this.terms(caller),
    });
    return digest;
  }

  /** A client's deletion, which can be undone until it is released. */
  deleteRestorably(
    repository: RepositoryName,
    digest: Digest,
  ): ReturnType<Index["deleteManifest"]> {
    const deletion = { nowMs: this.nowMs, deletedBy: "alice", reason: "client" } as const;
    return this.index.deleteRestorably(repository, digest, deletion);
  }

  /** Pushes a manifest by its tags or, without any, by its digest. */
  async put(repository: string, push: Push): Promise<Content & { outcome: AcceptOutcome }> {
    const content = contentOf(push);
    this.contents.set(content.digest, content);
    const tags = push.tags ?? [];
    const outcome = await this.index.acceptManifest({
      repository: repo(repository),
      digest: content.digest,
      sizeBytes: content.bytes.length,
      manifest: content.manifest,
      tags: tagNames(tags),
      leaseManifest: tags.length === 0,
      required: content.manifest.references.filter(
        ({ kind }) => kind === "blob" || kind === "manifest",
      ),
      ...(push.bounds === undefined ? {} : { bounds: push.bounds }),
      ...(push.indexLevelsMax === undefined ? {} : { indexLevelsMax: push.indexLevelsMax }),
      terms: this.terms(push.caller),
    });
    return { ...content, outcome };
  }

  /** Pushes a manifest after the blobs that it names. */
  async image(
    repository: string,
    push: Push & { readonly blobs: readonly number[] },
  ): Promise<Digest> {
    for (const n of push.blobs) await this.upload(repository, n, push.caller);
    const { digest, outcome } = await this.put(repository, {
      ...push,
      layers: push.blobs.map(blobNo),
    });
    if (!outcome.accepted) throw new Error(`not accepted: ${outcome.missing.join(" ")}`);
    return digest;
  }

  async blob(repository: string | null, digest: Digest): Promise<BlobStanding> {
    const candidate = { repository: repository === null ? null : repo(repository), digest };
    const [standing] = await this.index.blobStandings([candidate], this.nowMs);
    if (standing === undefined) throw new Error(`${digest} is not known`);
    return standing;
  }

  async manifest(repository: string, digest: Digest): Promise<ManifestStanding> {
    const [standing] = await this.index.manifestStandings(
      [{ repository: repo(repository), digest }],
      { nowMs: this.nowMs, policy: { untagged: true, untaggedBeforeMs: this.nowMs } },
    );
    if (standing === undefined) throw new Error(`${digest} is not known`);
    return standing;
  }

  /** The end of the lease on a blob in one repository, from now on. */
  async leasedFor(repository: string, digest: Digest): Promise<number | null> {
    const until = (await this.blob(repository, digest)).leasedHereUntilMs;
    return until === null ? null : until - this.nowMs;
  }

  /** What the tree owes, as short texts in order, cleared by the way. */
  async owed(): Promise<string[]> {
    const records = await this.index.pendingRedo(100_000);
    await this.index.clearRedo(records);
    return records.map(redoText);
  }
}

export function redoText({ place, stands, value }: RedoRecord): string {
  const name = "tag" in place ? ` ${place.tag}` : "";
  const digest = "digest" in place ? ` ${place.digest.slice(7, 13)}` : "";
  const shall = stands ? (value?.slice(7, 13) ?? "stands") : "gone";
  return `${place.kind} ${place.repository}${name}${digest}: ${shall}`;
}

/** How `redoText` shortens a digest. */
export const short = (digest: Digest): string => digest.slice(7, 13);
