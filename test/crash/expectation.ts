// What must be so after a death, by the journal alone: what was acknowledged holds, what was under way
// has happened or has not, whole. Knows nothing of how the registry works but for what the design
// promises to clients: leases, and what a collection spares.
import type { Digest, RepositoryName, Tag } from "../../src/oci/index.ts";
import { type Artifact, artifactOf } from "./content.ts";
import type { Entry } from "./journal.ts";
import type { Step } from "./steps.ts";

/** `either`: an unfinished request, or a collection, may have changed it. */
type Presence = "there" | "gone" | "either";

export interface InRepository {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

export interface TagKey {
  readonly repository: RepositoryName;
  readonly tag: Tag;
}

/** An upload that began and whose end was not acknowledged. */
export interface OpenUpload extends InRepository {
  readonly id: string;
  readonly acknowledgedBytes: number;
  readonly finishing: boolean;
}

/** A map by the content of its keys. */
class ByContent<Key, Value> {
  readonly #entries = new Map<string, readonly [Key, Value]>();

  get(key: Key): Value | undefined {
    return this.#entries.get(JSON.stringify(key))?.[1];
  }
  set(key: Key, value: Value): void {
    this.#entries.set(JSON.stringify(key), [key, value]);
  }
  delete(key: Key): void {
    this.#entries.delete(JSON.stringify(key));
  }
  clear(): void {
    this.#entries.clear();
  }
  [Symbol.iterator](): IterableIterator<readonly [Key, Value]> {
    return [...this.#entries.values()].values();
  }
}

export class Expectation {
  /** What each tag may point to; null: it may be absent. */
  readonly tags = new ByContent<TagKey, ReadonlySet<Digest | null>>();
  readonly manifests = new ByContent<InRepository, Presence>();
  readonly blobs = new ByContent<InRepository, Presence>();
  readonly #leased = new ByContent<InRepository, true>();
  readonly #open = new Map<number, Step>();
  readonly #uploads = new Map<number, OpenUpload>();

  constructor(entries: readonly Entry[]) {
    for (const entry of entries) this.#apply(entry);
  }

  get uploads(): readonly OpenUpload[] {
    return [...this.#uploads.values()];
  }

  /** Whose bytes may be there without a fact: their pushes were under way. */
  get underWay(): ReadonlySet<Digest> {
    const pushes = [...this.#open.values()].filter(
      (step) => step.kind === "push-blob" || step.kind === "put-manifest",
    );
    return new Set(pushes.map(({ digest }) => digest));
  }

  #apply(entry: Entry): void {
    const { number } = entry;
    const step = entry.at === "begin" ? entry.step : this.#open.get(number);
    if (step === undefined) throw new Error(`step ${number} did not begin`);
    const upload = this.#uploads.get(number);
    switch (entry.at) {
      case "begin":
        this.#open.set(number, step);
        this.#begin(step);
        break;
      case "end":
        this.#open.delete(number);
        this.#uploads.delete(number);
        this.#end(step);
        break;
      case "upload":
        if (step.kind !== "push-blob") break;
        this.#uploads.set(number, {
          repository: step.repository,
          digest: step.digest,
          id: entry.id,
          acknowledgedBytes: 0,
          finishing: false,
        });
        break;
      case "stored":
        if (upload === undefined) break;
        this.#uploads.set(number, { ...upload, acknowledgedBytes: entry.sizeBytes });
        break;
      case "finishing":
        if (upload !== undefined) this.#uploads.set(number, { ...upload, finishing: true });
        break;
    }
    // A collection that goes on takes what is deleted meanwhile, in its second look.
    for (const open of this.#open.values()) {
      if (open.kind === "collect") this.#collect(open.untagged);
    }
  }

  #begin(step: Step): void {
    switch (step.kind) {
      case "push-blob":
        this.#mayCome(this.blobs, { repository: step.repository, digest: step.digest });
        break;
      case "mount":
        this.#mayCome(this.blobs, { repository: step.to, digest: step.digest });
        // The lease moves with the mount (INV-5).
        this.#leased.delete({ repository: step.from, digest: step.digest });
        break;
      case "put-manifest":
        this.#mayCome(this.manifests, { repository: step.repository, digest: step.digest });
        for (const tag of step.tags)
          this.#tagMayBe({ repository: step.repository, tag }, step.digest);
        break;
      case "delete-tag":
        this.#tagMayBe({ repository: step.repository, tag: step.tag }, null);
        break;
      case "delete-manifest":
        this.manifests.set({ repository: step.repository, digest: step.digest }, "either");
        for (const [key, targets] of this.tags) {
          if (key.repository === step.repository && targets.has(step.digest)) {
            this.#tagMayBe(key, null);
          }
        }
        break;
      case "delete-image":
      case "retain":
        for (const digest of this.#around(step)) {
          this.manifests.set({ repository: step.repository, digest }, "either");
        }
        for (const [key, targets] of this.tags) {
          if (key.repository === step.repository && targets.has(step.digest)) {
            this.#tagMayBe(key, null);
          }
        }
        break;
      case "restore":
        for (const digest of this.#around(step)) {
          const { repository } = step;
          this.#mayCome(this.manifests, { repository, digest });
          for (const blob of artifactOf(digest).blobs) {
            this.#mayCome(this.blobs, { repository, digest: blob });
          }
        }
        for (const tag of step.tags)
          this.#tagMayBe({ repository: step.repository, tag }, step.digest);
        break;
      case "delete-blob":
        this.blobs.set({ repository: step.repository, digest: step.digest }, "either");
        break;
      case "collect":
        this.#collect(step.untagged);
        break;
      case "pass-grace":
        this.#leased.clear();
        break;
      case "wrong-upload":
      case "cancelled-upload":
      case "abandoned-upload":
      case "expire-uploads":
      case "follow":
        break;
    }
  }

  #end(step: Step): void {
    switch (step.kind) {
      case "push-blob":
        this.#nowLeased({ repository: step.repository, digest: step.digest });
        break;
      case "mount":
        this.#nowLeased({ repository: step.to, digest: step.digest });
        break;
      case "put-manifest":
        this.#accepted(step);
        break;
      case "delete-tag":
        this.tags.set({ repository: step.repository, tag: step.tag }, new Set([null]));
        break;
      case "delete-manifest":
      case "delete-image":
      case "retain":
        this.#deleted({ repository: step.repository, digest: step.digest });
        break;
      case "restore":
        this.#restored(step);
        break;
      case "delete-blob":
        this.blobs.set({ repository: step.repository, digest: step.digest }, "gone");
        this.#leased.delete({ repository: step.repository, digest: step.digest });
        break;
      case "collect":
      case "pass-grace":
      case "wrong-upload":
      case "cancelled-upload":
      case "abandoned-upload":
      case "expire-uploads":
      case "follow":
        break;
    }
  }

  /** The manifest, its children, and what is known to hang on either; a deletion may take all of it. */
  #around({ repository, digest }: InRepository): Digest[] {
    const around = [digest, ...artifactOf(digest).children];
    for (const [key] of this.manifests) {
      const { subject } = artifactOf(key.digest);
      if (key.repository === repository && subject !== null && around.includes(subject)) {
        around.push(key.digest);
      }
    }
    return around;
  }

  #restored(step: Extract<Step, { kind: "restore" }>): void {
    const { repository, digest, tags } = step;
    for (const one of [digest, ...artifactOf(digest).children]) {
      this.manifests.set({ repository, digest: one }, "there");
      for (const blob of artifactOf(one).blobs) {
        this.blobs.set({ repository, digest: blob }, "there");
      }
    }
    for (const tag of tags) this.tags.set({ repository, tag }, new Set([digest]));
  }

  #mayCome(places: ByContent<InRepository, Presence>, key: InRepository): void {
    if (places.get(key) !== "there") places.set(key, "either");
  }

  #tagMayBe(key: TagKey, target: Digest | null): void {
    this.tags.set(key, new Set([...(this.tags.get(key) ?? [null]), target]));
  }

  #nowLeased(key: InRepository): void {
    this.blobs.set(key, "there");
    this.#leased.set(key, true);
  }

  #accepted(step: Extract<Step, { kind: "put-manifest" }>): void {
    const { repository, digest, tags } = step;
    this.manifests.set({ repository, digest }, "there");
    for (const tag of tags) this.tags.set({ repository, tag }, new Set([digest]));
    const { blobs, children } = artifactOf(digest);
    // Its leases have done their duty (INV-5).
    for (const named of [...blobs, ...children]) this.#leased.delete({ repository, digest: named });
    if (tags.length === 0) this.#leased.set({ repository, digest }, true);
  }

  #deleted(key: InRepository): void {
    this.manifests.set(key, "gone");
    this.#leased.delete(key);
    for (const [tag, targets] of this.tags) {
      if (tag.repository !== key.repository || !targets.has(key.digest)) continue;
      this.tags.set(
        tag,
        new Set([...targets].map((target) => (target === key.digest ? null : target))),
      );
    }
  }

  /** What nothing is known to keep may go from now on. */
  #collect(untagged: boolean): void {
    const kept = this.#keptManifests(untagged);
    for (const [key, presence] of this.manifests) {
      if (presence === "there" && kept.get(key) === undefined) this.manifests.set(key, "either");
    }
    for (const [key, presence] of this.blobs) {
      if (presence !== "there" || this.#leased.get(key) !== undefined) continue;
      const needed = [...kept].some(
        ([{ repository, digest }]) =>
          repository === key.repository && artifactOf(digest).blobs.includes(key.digest),
      );
      if (!needed) this.blobs.delete(key);
    }
  }

  /** The closure from tags and leases, or from all that no vanished subject leaves behind. */
  #keptManifests(untagged: boolean): ByContent<InRepository, Artifact> {
    const there = [...this.manifests].filter(([, presence]) => presence === "there");
    const kept = new ByContent<InRepository, Artifact>();
    const keep = (key: InRepository): void => {
      if (kept.get(key) !== undefined || this.manifests.get(key) !== "there") return;
      const artifact = artifactOf(key.digest);
      kept.set(key, artifact);
      for (const digest of artifact.children) keep({ ...key, digest });
      for (const [referrer] of there) {
        const { subject } = artifactOf(referrer.digest);
        if (referrer.repository === key.repository && subject === key.digest) keep(referrer);
      }
    };
    for (const [key] of there) {
      const { subject } = artifactOf(key.digest);
      const orphan =
        subject !== null && this.manifests.get({ ...key, digest: subject }) !== "there";
      const byItself = !untagged && !orphan;
      if (byItself || this.#isTagged(key) || this.#leased.get(key) !== undefined) keep(key);
    }
    return kept;
  }

  #isTagged({ repository, digest }: InRepository): boolean {
    return [...this.tags].some(
      ([key, targets]) =>
        key.repository === repository && targets.size === 1 && targets.has(digest),
    );
  }
}
