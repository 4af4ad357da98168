// The model: what a registry holds and what a collection leaves, as sets and loops over everything, with
// nothing incremental. Written from the design's words, never from src: whatever the real one does must
// come to the same.
import type { Digest, RepositoryName, Tag } from "../../src/oci/index.ts";
import { bytesOf, type Content } from "./content.ts";
import { type ModelDeletion, ModelDeletions, type Restored } from "./model-deletions.ts";
import { ModelRepository, namedBy, requiredBy } from "./model-repository.ts";

export { graceMs, requiredBy } from "./model-repository.ts";

export interface Accepted {
  readonly content: Content;
  readonly tags: readonly Tag[];
  readonly caller: string;
  /** It was pushed by digest. */
  readonly leased: boolean;
  readonly nowMs: number;
}

/** What a collection removed, or would. */
export interface Collected {
  readonly manifests: number;
  readonly links: number;
  readonly blobs: number;
  readonly bytes: number;
  readonly repositories: number;
  /** Deletions that can still be undone. */
  readonly restorable: number;
}

export class Model {
  /** Those that exist, empty ones too. */
  readonly repositories = new Map<RepositoryName, ModelRepository>();
  /** Blobs that are facts: their bytes are there. */
  readonly stored = new Set<Digest>();
  readonly deletions = new ModelDeletions();
  /** Condemned by a run that was killed: they answer 404, and the next run removes them. */
  readonly condemned = new Set<Digest>();

  /** As it is, and empty where there is none. */
  at(name: RepositoryName): ModelRepository {
    return this.repositories.get(name) ?? new ModelRepository();
  }

  /** Made if need be. */
  ensure(name: RepositoryName): ModelRepository {
    const repository = this.at(name);
    this.repositories.set(name, repository);
    return repository;
  }

  clone(): Model {
    const copy = new Model();
    for (const [name, one] of this.repositories) copy.repositories.set(name, one.clone());
    for (const digest of this.stored) copy.stored.add(digest);
    for (const digest of this.condemned) copy.condemned.add(digest);
    copy.deletions.list.push(...this.deletions.list);
    return copy;
  }

  /** Its bytes have come. */
  store(digest: Digest): void {
    this.stored.add(digest);
    this.condemned.delete(digest);
  }

  accept(name: RepositoryName, push: Accepted): void {
    const here = this.ensure(name);
    const { content, caller } = push;
    const { digest } = content;
    this.store(digest);
    this.#enter(name, content);
    for (const tag of push.tags) this.#pointTag(name, tag, digest);
    for (const named of namedBy(content)) here.endLeases(named, caller);
    if (push.leased) here.lease(digest, caller, push.nowMs);
  }

  #enter(name: RepositoryName, content: Content): void {
    const here = this.ensure(name);
    const { digest } = content;
    if (!here.manifests.has(digest)) this.deletions.end({ repository: name, digest, tag: null });
    here.manifests.set(digest, content);
    // Pushed again after its subject went is pushed before its subject.
    here.orphaned.delete(digest);
    for (const [referrer, { subject }] of here.manifests) {
      if (subject === digest) here.orphaned.delete(referrer);
    }
  }

  #pointTag(name: RepositoryName, tag: Tag, digest: Digest): void {
    const here = this.ensure(name);
    if (here.tags.get(tag) === digest) return;
    here.pointTag(tag, digest);
    this.deletions.end({ repository: name, digest, tag });
  }

  /** A tag alone, or a manifest with its tags, in a way that can be undone. */
  recordDeletion(
    name: RepositoryName,
    what: { readonly digest: Digest; readonly tag: Tag | null },
    nowMs: number,
  ): void {
    const here = this.at(name);
    const own = [...here.tags].filter(([, target]) => target === what.digest).map(([tag]) => tag);
    this.deletions.begin({
      repository: name,
      ...what,
      tags: what.tag === null ? own.toSorted() : [what.tag],
      atMs: nowMs,
      holds: this.#neededBy(here, what.digest),
    });
  }

  /** Everything that it names and that hangs on it, in turn; what names nothing here may do so elsewhere. */
  #neededBy(here: ModelRepository, top: Digest): ModelDeletion["holds"] {
    const known = new Map(
      [...this.repositories.values()].flatMap(({ manifests }) => [...manifests]),
    );
    const needed = new Set([top]);
    for (const digest of needed) {
      const content = known.get(digest);
      for (const named of content === undefined ? [] : requiredBy(content)) needed.add(named);
      for (const [referrer, { subject }] of here.manifests) {
        if (subject === digest) needed.add(referrer);
      }
    }
    return new Map(
      [...needed].map((digest) => [
        digest,
        { manifest: here.manifests.get(digest) ?? null, linked: here.layers.has(digest) },
      ]),
    );
  }

  /** The image, what nothing but it leads to, and what hangs on it, unless it has a tag or a lease. */
  deleteImage(name: RepositoryName, top: Digest, nowMs: number): Digest[] {
    const here = this.at(name);
    this.recordDeletion(name, { digest: top, tag: null }, nowMs);
    const going = new Set([top]);
    let before: number;
    do {
      before = going.size;
      for (const [digest, content] of here.manifests) {
        const above = [...here.manifests.keys()].filter(
          (other) => other !== digest && leadsTo(here, other, { digest, content }),
        );
        const isTagged = [...here.tags.values()].includes(digest);
        if (isTagged || here.isLeased(digest, nowMs)) continue;
        if (above.length > 0 && above.every((other) => going.has(other))) going.add(digest);
      }
    } while (going.size > before);
    for (const digest of going) here.removeManifest(digest);
    return [...going];
  }

  /** Carries out what `deletions.plan` has found. */
  restore(restored: Restored, caller: string, nowMs: number): void {
    const { deletion, manifests, tags, taken } = restored;
    const { repository: name, digest: top } = deletion;
    const here = this.ensure(name);
    for (const { tag } of taken) this.deletions.split(deletion, tag);
    const back = new Set(manifests.map(({ digest }) => digest));
    const others = this.deletions.list.filter(
      (one) => one.repository === name && one.tag === null && back.has(one.digest),
    );
    for (const own of others.filter((one) => one !== deletion)) {
      for (const tag of own.tags) this.deletions.split(own, tag);
    }
    for (const content of manifests) {
      this.#enter(name, content);
      for (const digest of [content.digest, ...namedBy(content)]) {
        if (deletion.holds.get(digest)?.linked === true) here.layers.add(digest);
      }
    }
    for (const tag of tags) this.#pointTag(name, tag, top);
    const isUntagged = ![...here.tags.values()].includes(top);
    if (isUntagged && manifests.some(({ digest }) => digest === top)) {
      here.lease(top, caller, nowMs);
    }
    this.deletions.end(deletion);
  }

  /** Whether anything anywhere keeps the bytes. */
  #isHeld(digest: Digest, nowMs: number): boolean {
    const isHere = [...this.repositories.values()].some(
      (one) => one.manifests.has(digest) || one.names(digest) || one.isLeased(digest, nowMs),
    );
    return isHere || this.deletions.holds(digest);
  }

  collect(
    { untagged, keepDeletedMs }: { readonly untagged: boolean; readonly keepDeletedMs: number },
    nowMs: number,
  ): Collected {
    this.deletions.release(nowMs - keepDeletedMs);
    const all = [...this.repositories.values()];
    const linksBefore = this.#links();
    let manifests = 0;
    for (const one of all) {
      const doomed = one.doomedManifests(untagged, nowMs);
      for (const digest of doomed) one.removeManifest(digest);
      manifests += doomed.length;
    }
    for (const one of all) {
      for (const digest of one.layers) {
        if (!one.names(digest) && !one.isLeased(digest, nowMs)) one.removeLayer(digest);
      }
    }
    const gone = new Set(this.condemned);
    for (const digest of this.stored) {
      if (this.#isHeld(digest, nowMs)) continue;
      gone.add(digest);
      for (const one of all) one.removeLayer(digest);
    }
    for (const digest of gone) this.stored.delete(digest);
    this.condemned.clear();
    let repositories = 0;
    for (const [name, one] of this.repositories) {
      if (one.isEmpty(nowMs)) repositories += Number(this.repositories.delete(name));
    }
    const bytes = [...gone].reduce((sum, digest) => sum + bytesOf(digest).length, 0);
    const links = linksBefore - this.#links();
    const restorable = this.deletions.list.length;
    return { manifests, links, blobs: gone.size, bytes, repositories, restorable };
  }

  #links(): number {
    return [...this.repositories.values()].reduce((sum, { layers }) => sum + layers.size, 0);
  }
}

/** By naming it, or as its subject. */
function leadsTo(
  here: ModelRepository,
  other: Digest,
  { digest, content }: { readonly digest: Digest; readonly content: Content },
): boolean {
  const above = here.manifests.get(other);
  return (above !== undefined && requiredBy(above).includes(digest)) || content.subject === other;
}

/** Links of the classic layout that the facts call for, by path. */
export function linksOf(model: Model): Map<string, Digest> {
  const links = new Map<string, Digest>();
  const add = (directory: string, digest: Digest): void => {
    links.set(`${directory}/${digest.replace(":", "/")}/link`, digest);
  };
  for (const [name, one] of model.repositories) {
    const root = `/docker/registry/v2/repositories/${name}`;
    for (const digest of one.layers) add(`${root}/_layers`, digest);
    for (const digest of one.manifests.keys()) add(`${root}/_manifests/revisions`, digest);
    for (const [tag, digest] of one.tags) {
      links.set(`${root}/_manifests/tags/${tag}/current/link`, digest);
    }
    for (const [tag, digests] of one.history) {
      for (const digest of digests) add(`${root}/_manifests/tags/${tag}/index`, digest);
    }
  }
  return links;
}
