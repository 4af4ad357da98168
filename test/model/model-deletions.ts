// Deletions that can be undone, in the model: what each holds, and what undoing one would bring back, by
// looking at everything. Written from the design's words, never from src.
import type { Digest, RepositoryName, Tag } from "../../src/oci/index.ts";
import type { Content } from "./content.ts";
import type { ModelRepository } from "./model-repository.ts";

interface Key {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  /** Null: the manifest. */
  readonly tag: Tag | null;
}

interface Hold {
  /** It was a manifest of the repository. */
  readonly manifest: Content | null;
  /** The repository had a layer link to it. */
  readonly linked: boolean;
}

export interface ModelDeletion extends Key {
  readonly tags: readonly Tag[];
  readonly atMs: number;
  readonly holds: ReadonlyMap<Digest, Hold>;
}

/** What a restore brings back. */
export interface Restored {
  readonly outcome: "restored";
  readonly deletion: ModelDeletion;
  readonly manifests: readonly Content[];
  readonly tags: readonly Tag[];
  readonly taken: readonly { readonly tag: Tag; readonly digest: Digest }[];
}

export type Refused = { readonly outcome: "nothing" | "taken" | "missing" };

export class ModelDeletions {
  /** In the order in which they were made. */
  readonly list: ModelDeletion[] = [];

  find({ repository, digest, tag }: Key): ModelDeletion | null {
    return (
      this.list.find(
        (one) => one.repository === repository && one.digest === digest && one.tag === tag,
      ) ?? null
    );
  }

  begin(deletion: ModelDeletion): void {
    this.end(deletion);
    this.list.push(deletion);
  }

  end(key: Key): void {
    const found = this.find(key);
    if (found !== null) this.list.splice(this.list.indexOf(found), 1);
  }

  /** A tag of it goes on as a deletion by itself. */
  split(deletion: ModelDeletion, tag: Tag): void {
    const alone = { ...deletion, tag, tags: [tag] };
    if (this.find(alone) === null) this.list.push(alone);
  }

  release(beforeMs: number): void {
    const kept = this.list.filter(({ atMs }) => atMs > beforeMs);
    this.list.splice(0, this.list.length, ...kept);
  }

  holds(digest: Digest): boolean {
    return this.list.some(({ holds }) => holds.has(digest));
  }

  /** The youngest that took the tag; or the manifest's own, else the youngest of its tags'. */
  wanted(
    repository: RepositoryName,
    what: { tag: Tag } | { digest: Digest },
  ): ModelDeletion | null {
    const fits = this.list.filter(
      (one) =>
        one.repository === repository &&
        ("tag" in what ? one.tags.includes(what.tag) : one.digest === what.digest),
    );
    const own = "digest" in what ? fits.filter(({ tag }) => tag === null) : [];
    const [first = null, ...others] = own.length > 0 ? own : fits;
    return others.reduce(
      (young, one) => (young !== null && one.atMs >= young.atMs ? one : young),
      first,
    );
  }

  /** `here`: the repository that it is of, as it is now. */
  plan(here: ModelRepository, deletion: ModelDeletion, force: boolean): Restored | Refused {
    const taken = deletion.tags.flatMap((tag) => {
      const digest = here.tags.get(tag) ?? deletion.digest;
      return digest === deletion.digest || force ? [] : [{ tag, digest }];
    });
    if (deletion.tag !== null && taken.length > 0) return { outcome: "taken" };
    const coming = new Map<Digest, Content>();
    const whole = this.#withOwn(deletion);
    if (!this.#comes(here, whole, { digest: deletion.digest, coming })) {
      return { outcome: "missing" };
    }
    let before: number;
    do {
      before = coming.size;
      for (const [digest, { manifest }] of whole.holds) {
        const subject = manifest?.subject ?? null;
        if (subject === null || !coming.has(subject)) continue;
        if (this.find({ ...deletion, digest, tag: null }) !== null) continue;
        this.#comes(here, whole, { digest, coming });
      }
    } while (coming.size > before);
    const tags = deletion.tags.filter((tag) => !taken.some((one) => one.tag === tag));
    return { outcome: "restored", deletion, manifests: [...coming.values()], tags, taken };
  }

  /** A tag's, with all that a later deletion of its manifest holds. */
  #withOwn(deletion: ModelDeletion): ModelDeletion {
    const own = deletion.tag === null ? null : this.find({ ...deletion, tag: null });
    if (own === null) return deletion;
    const holds = new Map(deletion.holds);
    for (const [digest, { manifest, linked }] of own.holds) {
      const before = holds.get(digest);
      holds.set(digest, {
        manifest: before?.manifest ?? manifest,
        linked: linked || before?.linked === true,
      });
    }
    return { ...deletion, holds };
  }

  /** Adds the manifest and its children, all or none. In the model bytes are never lost. */
  #comes(
    here: ModelRepository,
    deletion: ModelDeletion,
    { digest, coming }: { readonly digest: Digest; readonly coming: Map<Digest, Content> },
  ): boolean {
    const adding = new Map<Digest, Content>();
    const add = (one: Digest): boolean => {
      if (here.manifests.has(one) || coming.has(one) || adding.has(one)) return true;
      const manifest = deletion.holds.get(one)?.manifest ?? null;
      if (manifest === null) return here.holds(one) || deletion.holds.get(one)?.linked === true;
      adding.set(one, manifest);
      return [...manifest.blobs, ...manifest.children].every(add);
    };
    if (!add(digest)) return false;
    for (const [one, content] of adding) coming.set(one, content);
    return true;
  }
}
