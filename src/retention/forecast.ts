// What would go with the tags that rules let go, and the bytes that a collection would give back. Changes
// nothing; follows the same ties as the removal (index/retaining.ts), and counts a blob only if everything
// that names it anywhere goes. Leases on blobs are not looked at: they end by themselves.
import { DoomedManifests, pageMax } from "../gc/index.ts";
import { attachedTo, type Digest, type RepositoryName, type Tag } from "../oci/index.ts";
import type { HolderPage, HolderPosition, ManifestTies } from "../registry/ports/index.ts";
import type { Judged } from "./judgement.ts";
import { Breather, type RetentionParts } from "./parts.ts";

/** Manifests that go, and blobs that are looked at, that a forecast holds: some 30 MB of digests. */
const entriesMax = 100_000;

/** Manifests that hold a blob, in one look: well under a millisecond. */
const holderPageMax = 100;

export interface Forecasted {
  /** Manifests that go in this repository. */
  readonly manifests: number;
  /** Attachment tags that go with their images. */
  readonly attachments: number;
  /** Digests whose tags stay for now, for a push may be about to refer to them. */
  readonly leased: ReadonlySet<Digest>;
  /** Digests that go. */
  readonly gone: ReadonlySet<Digest>;
}

export class Forecast {
  readonly #parts: RetentionParts;
  readonly #doomed = new DoomedManifests();
  #isTruncated = false;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  get atLeast(): boolean {
    return this.#isTruncated || this.#doomed.truncated;
  }

  async add(
    repository: RepositoryName,
    judged: Judged,
    more: { readonly untagged: readonly Digest[]; readonly nowMs: number },
  ): Promise<Forecasted> {
    const search = new Search(this.#parts, { repository, nowMs: more.nowMs });
    await search.run(judged, more.untagged);
    const breather = new Breather(this.#parts);
    for (const digest of search.gone) {
      this.#doomed.add({ repository, digest }, entriesMax);
      await breather.step();
    }
    return {
      manifests: search.gone.size,
      attachments: search.attachments,
      leased: search.leased,
      gone: search.gone,
    };
  }

  /** Of all that was added. */
  async bytes(): Promise<number> {
    const { index, pause } = this.#parts;
    const seen = new Set<Digest>();
    let bytes = 0;
    for (const { digest: manifest } of this.#doomed.values()) {
      const named = [manifest, ...(await index.namedByManifest(manifest))];
      const unseen = named.filter((digest) => !seen.has(digest) && seen.add(digest));
      for (let at = 0; at < unseen.length; at += pageMax) {
        const sizes = await index.findSizes(unseen.slice(at, at + pageMax));
        for (const [digest, size] of sizes) if (await this.#isFreed(digest)) bytes += size;
        await pause(0);
      }
      if (seen.size >= entriesMax) {
        this.#isTruncated = true;
        break;
      }
    }
    return bytes;
  }

  /** Everything that holds the blob, anywhere, goes. Who came last is asked first: it stays most often. */
  async #isFreed(digest: Digest): Promise<boolean> {
    let before: HolderPosition | null = null;
    do {
      const page: HolderPage = await this.#parts.index.holdersOf(digest, {
        before,
        limit: holderPageMax,
      });
      if (!page.holders.every((holder) => this.#doomed.has(holder))) return false;
      before = page.next;
      if (before !== null) await this.#parts.pause(0);
    } while (before !== null);
    return true;
  }
}

/** One repository. What goes may let go of more: its parts, its referrers, its attachments, in turn. */
class Search {
  readonly gone = new Set<Digest>();
  readonly leased = new Set<Digest>();
  attachments = 0;
  readonly #parts: RetentionParts;
  readonly #repository: RepositoryName;
  readonly #nowMs: number;
  readonly #goingTags = new Set<Tag>();
  /** By the digest that they are attached to. */
  readonly #attached = new Map<Digest, Digest[]>();

  constructor(
    parts: RetentionParts,
    at: { readonly repository: RepositoryName; readonly nowMs: number },
  ) {
    this.#parts = parts;
    this.#repository = at.repository;
    this.#nowMs = at.nowMs;
  }

  /** What is known beforehand; where to begin. */
  async #prepare(judged: Judged): Promise<Digest[]> {
    const breather = new Breather(this.#parts);
    const starts: Digest[] = [];
    for (const { digest, isWhole, tags } of judged.going) {
      for (const { tag } of tags) this.#goingTags.add(tag);
      if (isWhole) starts.push(digest);
      await breather.step();
    }
    for (const { fact, keptBy } of judged.verdicts) {
      await breather.step();
      const image = keptBy === "attachment" ? attachedTo(fact.tag) : null;
      if (image === null || this.#parts.isProtected(this.#repository, fact.tag)) continue;
      this.#attached.set(image, [...(this.#attached.get(image) ?? []), fact.digest]);
    }
    return starts;
  }

  async run(judged: Judged, untagged: readonly Digest[]): Promise<void> {
    const queue = [...(await this.#prepare(judged)), ...untagged];
    for (let n = 0; n < queue.length; n++) {
      const digest = queue[n] as Digest;
      if (n % pageMax === pageMax - 1) await this.#parts.pause(0);
      if (this.gone.has(digest)) continue;
      const ties = await this.#ties(digest);
      if (ties === null || !this.#isFree(digest, ties)) continue;
      this.gone.add(digest);
      const attached = this.#attached.get(digest) ?? [];
      this.attachments += attached.length;
      for (const next of [ties.children, ties.referrers, attached]) queue.push(...next);
    }
  }

  #ties(digest: Digest): Promise<ManifestTies | null> {
    return this.#parts.index.manifestTies(this.#repository, digest, this.#nowMs);
  }

  #isFree(digest: Digest, ties: ManifestTies): boolean {
    if (ties.isLeased) {
      this.leased.add(digest);
      return false;
    }
    const { parents, subject, tags } = ties;
    return (
      tags.every((tag) => this.#tagGoes(tag)) &&
      parents.every((parent) => this.gone.has(parent)) &&
      (subject === null || this.gone.has(subject))
    );
  }

  #tagGoes(tag: Tag): boolean {
    const image = attachedTo(tag);
    if (image === null) return this.#goingTags.has(tag);
    return this.gone.has(image) && !this.#parts.isProtected(this.#repository, tag);
  }
}
