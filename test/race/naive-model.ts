// The naive model of what a registry holds and what a collection leaves: sets and loops over everything,
// nothing incremental. Whatever the real thing does must come to the same.
import type { Digest } from "../../src/oci/index.ts";
import { graceMs } from "./world.ts";

export interface Holding {
  readonly needs: readonly Digest[];
  readonly subject: Digest | null;
}

interface Lease {
  untilMs: number;
  lookingSinceMs: number | null;
}

class ModelRepository {
  readonly layers = new Set<Digest>();
  readonly manifests = new Map<Digest, Holding>();
  readonly tags = new Map<string, Digest>();
  /** Referrers whose subject was here and was removed. */
  readonly orphaned = new Set<Digest>();
  readonly leases = new Map<string, Lease>();

  holds(digest: Digest): boolean {
    return this.layers.has(digest) || this.manifests.has(digest);
  }

  isLeased(digest: Digest, nowMs: number): boolean {
    return [...this.leases].some(([key, lease]) => key.endsWith(digest) && lease.untilMs > nowMs);
  }

  lease(digest: Digest, caller: string, nowMs: number): void {
    const key = `${caller} ${digest}`;
    const before = this.leases.get(key)?.untilMs ?? 0;
    this.leases.set(key, { untilMs: Math.max(before, nowMs + graceMs), lookingSinceMs: null });
  }

  /** A look: a new lease, or a renewal of one with less than half of its time left, for 24 h at most. */
  look(digest: Digest, caller: string, nowMs: number): void {
    const key = `${caller} ${digest}`;
    const lease = this.leases.get(key);
    if (lease !== undefined && lease.untilMs - nowMs > graceMs / 2) return;
    const since = lease?.lookingSinceMs ?? nowMs;
    if (lease !== undefined && nowMs - since >= 24 * 3_600_000) return;
    this.leases.set(key, { untilMs: nowMs + graceMs, lookingSinceMs: since });
  }

  endLeases(digest: Digest, caller: string | null = null): void {
    for (const key of this.leases.keys()) {
      if (key.endsWith(digest) && (caller === null || key === `${caller} ${digest}`)) {
        this.leases.delete(key);
      }
    }
  }

  remove(digest: Digest): void {
    this.manifests.delete(digest);
    this.orphaned.delete(digest);
    this.endLeases(digest);
    for (const [tag, target] of this.tags) if (target === digest) this.tags.delete(tag);
    for (const [referrer, { subject }] of this.manifests) {
      if (subject === digest) this.orphaned.add(referrer);
    }
  }

  /** Everything that the roots lead to: children, subjects, referrers, over and over. */
  closure(roots: Iterable<Digest>): Set<Digest> {
    const kept = new Set<Digest>([...roots].filter((digest) => this.manifests.has(digest)));
    let before: number;
    do {
      before = kept.size;
      for (const [digest, { needs, subject }] of this.manifests) {
        const leadsTo = subject === null ? needs : [...needs, subject];
        if (subject !== null && kept.has(subject)) kept.add(digest);
        if (!kept.has(digest)) continue;
        for (const one of leadsTo.filter((named) => this.manifests.has(named))) kept.add(one);
      }
    } while (kept.size > before);
    return kept;
  }

  /** Removes what a collection removes; how many manifests that were. */
  collectManifests(untagged: boolean, nowMs: number): number {
    const roots = [...this.tags.values()];
    for (const [digest, { subject }] of this.manifests) {
      if (this.isLeased(digest, nowMs)) roots.push(digest);
      const hangs = subject !== null && this.manifests.has(subject);
      if (!untagged && !hangs && !this.orphaned.has(digest)) roots.push(digest);
    }
    const kept = this.closure(roots);
    const gone = [...this.manifests.keys()].filter((digest) => !kept.has(digest));
    for (const digest of gone) this.remove(digest);
    return gone.length;
  }

  collectLayers(nowMs: number): void {
    const needed = new Set([...this.manifests.values()].flatMap(({ needs }) => needs));
    for (const digest of this.layers) {
      if (needed.has(digest) || this.isLeased(digest, nowMs)) continue;
      this.layers.delete(digest);
      this.endLeases(digest);
    }
  }
}

export class NaiveModel {
  readonly #repositories = new Map<string, ModelRepository>();
  readonly stored = new Set<Digest>();

  at(name: string): ModelRepository {
    let repository = this.#repositories.get(name);
    if (repository === undefined) {
      repository = new ModelRepository();
      this.#repositories.set(name, repository);
    }
    return repository;
  }

  /** Names of the repositories that hold a manifest. */
  listed(): string[] {
    return [...this.#repositories]
      .filter(([, { manifests }]) => manifests.size > 0)
      .map(([name]) => name)
      .sort();
  }

  collect(untagged: boolean, nowMs: number): { manifests: number; blobs: number } {
    let manifests = 0;
    const all = [...this.#repositories.values()];
    for (const repository of all) manifests += repository.collectManifests(untagged, nowMs);
    for (const repository of all) repository.collectLayers(nowMs);
    const held = new Set<Digest>();
    for (const repository of all) {
      for (const [digest, { needs, subject }] of repository.manifests) {
        for (const one of [digest, ...needs, ...(subject === null ? [] : [subject])]) held.add(one);
      }
    }
    let blobs = 0;
    for (const digest of this.stored) {
      if (held.has(digest) || all.some((repository) => repository.isLeased(digest, nowMs)))
        continue;
      this.stored.delete(digest);
      for (const repository of all) repository.layers.delete(digest);
      blobs += 1;
    }
    return { manifests, blobs };
  }
}
