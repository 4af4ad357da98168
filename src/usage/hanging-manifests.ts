// Which manifests of a repository go with some of them: what then hangs on nothing. Children that nothing
// else names or tags, referrers of what goes, and all of theirs in turn; by the collector's rule (what
// leads to a manifest keeps it), as if it were asked to remove untagged ones, and everything else stayed.
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { RepositoryManifest } from "../registry/ports/index.ts";
import { entriesMax, type ReadingParts } from "./usage-parts.ts";
import { walk } from "./walk.ts";

/** Referrers or namers asked for with one look. */
const pageMax = 50;

export interface Going {
  readonly repository: RepositoryName;
  /** Deleted themselves, whatever tags or names them. */
  readonly deleted: ReadonlySet<Digest>;
  /** Tags that are deleted, with the manifests that they name: these go if nothing else leads to them. */
  readonly tags: ReadonlyMap<Tag, Digest>;
}

export interface Hanging {
  readonly manifests: ReadonlySet<Digest>;
  /** There is more than could be held in memory. */
  readonly atLeast: boolean;
}

export async function findHanging(parts: ReadingParts, going: Going): Promise<Hanging> {
  // Where something cannot be read, no policy removes anything: only what is deleted goes (INV-7).
  if (await isUnjudgeable(parts, going)) return { manifests: going.deleted, atLeast: false };
  const search = new HangingSearch(parts, going);
  return await search.find();
}

async function isUnjudgeable({ index, clock }: ReadingParts, going: Going): Promise<boolean> {
  const [digest] = [...going.deleted, ...going.tags.values()];
  if (digest === undefined) return false;
  const nowMs = clock.now();
  const policy = { untagged: true, untaggedBeforeMs: nowMs };
  const [standing] = await index.manifestStandings([{ repository: going.repository, digest }], {
    nowMs,
    policy,
  });
  return standing?.keptBy === "unreadable";
}

class HangingSearch {
  readonly #parts: ReadingParts;
  readonly #going: Going;
  /** All that might go: what is deleted, and whatever it leads to. */
  readonly #reached: Set<Digest>;
  /** From a manifest to those that it leads to, in the repository. */
  readonly #leads = new Map<Digest, Digest[]>();
  #entries = 0;
  #atLeast = false;

  constructor(parts: ReadingParts, going: Going) {
    this.#parts = parts;
    this.#going = going;
    this.#reached = new Set([...going.deleted, ...going.tags.values()]);
  }

  async find(): Promise<Hanging> {
    // Also over what is added on the way.
    for (const digest of this.#reached) {
      this.#leads.set(digest, await this.#leadsFrom(digest));
      if (this.#atLeast) break;
      await this.#parts.pause(0);
    }
    // Too much to tell what keeps what: what is deleted goes in any case.
    if (this.#atLeast) return { manifests: this.#going.deleted, atLeast: true };
    const kept = new Set<Digest>();
    for (const digest of this.#reached) {
      if (this.#going.deleted.has(digest) || kept.has(digest)) continue;
      if (await this.#isKeptFromOutside(digest)) this.#keep(digest, kept);
      await this.#parts.pause(0);
    }
    const manifests = new Set([...this.#reached].filter((digest) => !kept.has(digest)));
    return { manifests, atLeast: false };
  }

  /** Whether there was room for it. */
  #reach(digest: Digest): boolean {
    this.#entries += 1;
    if (this.#entries > entriesMax) this.#atLeast = true;
    else this.#reached.add(digest);
    return !this.#atLeast;
  }

  async #leadsFrom(digest: Digest): Promise<Digest[]> {
    const { repository } = this.#going;
    const leads: Digest[] = [];
    for await (const page of this.#ledTo({ repository, digest })) {
      for (const lead of page) {
        if (!this.#reach(lead)) return leads;
        leads.push(lead);
      }
    }
    return leads;
  }

  /** Manifests of the repository that it names, and its referrers there. */
  async *#ledTo(manifest: RepositoryManifest): AsyncGenerator<readonly Digest[]> {
    const { index, pause } = this.#parts;
    for await (const page of walk(this.#parts, (at) => index.scanNamed(manifest, at))) {
      yield page.filter(({ isManifest }) => isManifest).map(({ digest }) => digest);
    }
    const { repository, digest } = manifest;
    for (let after: Digest | null = null; ;) {
      const page: readonly { readonly digest: Digest }[] = await index.listReferrers(
        repository,
        digest,
        { after, limit: pageMax, artifactType: null },
      );
      yield page.map((referrer) => referrer.digest);
      if (page.length < pageMax) return;
      after = page.at(-1)?.digest ?? null;
      await pause(0);
    }
  }

  /** A tag that stays, or something that is not reached names it; its subject, if it has one, is reached. */
  async #isKeptFromOutside(digest: Digest): Promise<boolean> {
    const { index } = this.#parts;
    const { repository, tags } = this.#going;
    for await (const page of walk(this.#parts, (at) =>
      index.scanTagsOf({ repository, digest }, at),
    )) {
      if (page.some((tag) => !tags.has(tag))) return true;
    }
    for (let offset = 0; ; offset += pageMax) {
      const namers = await index.namersOf(digest, { offset, limit: pageMax, repository });
      if (namers.some((namer) => !this.#reached.has(namer.digest))) return true;
      if (namers.length < pageMax) return false;
      await this.#parts.pause(0);
    }
  }

  /** And all that it leads to. */
  #keep(digest: Digest, kept: Set<Digest>): void {
    const pending = [digest];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (kept.has(next) || this.#going.deleted.has(next)) continue;
      kept.add(next);
      pending.push(...(this.#leads.get(next) ?? []));
    }
  }
}
