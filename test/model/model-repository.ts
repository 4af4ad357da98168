// One repository of the model: layers, manifests, tags, leases, as sets and loops over everything.
import type { Digest, Tag } from "../../src/oci/index.ts";
import type { Content } from "./content.ts";

export const graceMs = 3_600_000;
const lookingMaxMs = 24 * 3_600_000;

interface Lease {
  readonly digest: Digest;
  readonly caller: string;
  readonly untilMs: number;
  /** Since when looking alone renews it; null: something was pushed. */
  readonly lookingSinceMs: number | null;
}

export class ModelRepository {
  readonly layers = new Set<Digest>();
  readonly manifests = new Map<Digest, Content>();
  readonly tags = new Map<Tag, Digest>();
  readonly history = new Map<Tag, Set<Digest>>();
  readonly uploads = new Set<string>();
  /** Referrers whose subject was here and was removed. */
  readonly orphaned = new Set<Digest>();
  #leases: Lease[] = [];

  holds(digest: Digest): boolean {
    return this.layers.has(digest) || this.manifests.has(digest);
  }

  /** Whether a manifest here names it, as whatever. */
  names(digest: Digest): boolean {
    return [...this.manifests.values()].some((content) => namedBy(content).includes(digest));
  }

  isLeased(digest: Digest, nowMs: number): boolean {
    return this.#leases.some((lease) => lease.digest === digest && lease.untilMs > nowMs);
  }

  #leaseOf(digest: Digest, caller: string, nowMs: number): Lease | undefined {
    return this.#leases.find(
      (lease) => lease.digest === digest && lease.caller === caller && lease.untilMs > nowMs,
    );
  }

  #set(lease: Lease): void {
    this.endLeases(lease.digest, lease.caller);
    this.#leases.push(lease);
  }

  /** An upload ended, a mount, a manifest by digest. */
  lease(digest: Digest, caller: string, nowMs: number): void {
    this.#set({ digest, caller, untilMs: nowMs + graceMs, lookingSinceMs: null });
  }

  /** A HEAD: a lease, or a renewal of one that has less than half of its time left, for 24 h at most. */
  look(digest: Digest, caller: string, nowMs: number): void {
    const lease = this.#leaseOf(digest, caller, nowMs);
    if (lease !== undefined && lease.untilMs - nowMs > graceMs / 2) return;
    const lookingSinceMs = lease?.lookingSinceMs ?? nowMs;
    if (lease !== undefined && nowMs - lookingSinceMs >= lookingMaxMs) return;
    this.#set({ digest, caller, untilMs: nowMs + graceMs, lookingSinceMs });
  }

  /** An upload that begins or receives bytes keeps its caller's leases alive. */
  renew(caller: string, nowMs: number): void {
    this.#leases = this.#leases.map((lease) => {
      const leftMs = lease.untilMs - nowMs;
      if (lease.caller !== caller || leftMs <= 0 || leftMs > graceMs / 2) return lease;
      return { ...lease, untilMs: nowMs + graceMs };
    });
  }

  endLeases(digest: Digest, caller: string | null = null): void {
    this.#leases = this.#leases.filter(
      (lease) => lease.digest !== digest || (caller !== null && lease.caller !== caller),
    );
  }

  removeLayer(digest: Digest): void {
    this.layers.delete(digest);
    this.endLeases(digest);
  }

  /** A manifest with its tags; its referrers have lost their subject. */
  removeManifest(digest: Digest): void {
    this.manifests.delete(digest);
    this.orphaned.delete(digest);
    this.endLeases(digest);
    for (const [tag, target] of this.tags) if (target === digest) this.removeTag(tag);
    for (const entries of this.history.values()) entries.delete(digest);
    for (const [referrer, { subject }] of this.manifests) {
      if (subject === digest) this.orphaned.add(referrer);
    }
  }

  removeTag(tag: Tag): void {
    this.tags.delete(tag);
    this.history.delete(tag);
  }

  pointTag(tag: Tag, digest: Digest): void {
    this.tags.set(tag, digest);
    const entries = this.history.get(tag) ?? new Set();
    this.history.set(tag, entries.add(digest));
  }

  /** Everything that the roots lead to: children, subjects, referrers, over and over. */
  closure(roots: Iterable<Digest>): Set<Digest> {
    const kept = new Set<Digest>([...roots].filter((digest) => this.manifests.has(digest)));
    let before: number;
    do {
      before = kept.size;
      for (const [digest, content] of this.manifests) {
        if (content.subject !== null && kept.has(content.subject)) kept.add(digest);
        if (!kept.has(digest)) continue;
        for (const one of namedBy(content)) if (this.manifests.has(one)) kept.add(one);
      }
    } while (kept.size > before);
    return kept;
  }

  /** What no tag, no lease and, unless untagged ones shall go, nothing else keeps. */
  doomedManifests(untagged: boolean, nowMs: number): Digest[] {
    const roots = [...this.tags.values()];
    for (const [digest, { subject }] of this.manifests) {
      if (this.isLeased(digest, nowMs)) roots.push(digest);
      const hangs = subject !== null && this.manifests.has(subject);
      if (!untagged && !hangs && !this.orphaned.has(digest)) roots.push(digest);
    }
    const kept = this.closure(roots);
    return [...this.manifests.keys()].filter((digest) => !kept.has(digest));
  }

  clone(): ModelRepository {
    const copy = new ModelRepository();
    for (const digest of this.layers) copy.layers.add(digest);
    for (const [digest, content] of this.manifests) copy.manifests.set(digest, content);
    for (const [tag, digest] of this.tags) copy.tags.set(tag, digest);
    for (const [tag, digests] of this.history) copy.history.set(tag, new Set(digests));
    for (const id of this.uploads) copy.uploads.add(id);
    for (const digest of this.orphaned) copy.orphaned.add(digest);
    copy.#leases = [...this.#leases];
    return copy;
  }

  isEmpty(nowMs: number): boolean {
    return (
      this.layers.size + this.manifests.size + this.tags.size + this.uploads.size === 0 &&
      !this.#leases.some(({ untilMs }) => untilMs > nowMs)
    );
  }
}

export function namedBy({ blobs, children, subject }: Content): Digest[] {
  return [...blobs, ...children, ...(subject === null ? [] : [subject])];
}

/** What must be there before it is accepted: all but its subject. */
export function requiredBy({ blobs, children }: Content): Digest[] {
  return [...blobs, ...children];
}
