// A set of what would be deleted: whole repositories, and manifests of others.
import type { Digest, RepositoryName } from "../oci/index.ts";
import type { RepositoryManifest } from "../registry/ports/index.ts";

export class DoomedSet {
  readonly repositories: ReadonlySet<RepositoryName>;
  readonly #manifests = new Map<RepositoryName, Set<Digest>>();
  #size = 0;

  constructor(repositories: Iterable<RepositoryName> = []) {
    this.repositories = new Set(repositories);
  }

  /** Of a repository that goes as a whole: nothing to add. */
  add({ repository, digest }: RepositoryManifest): void {
    if (this.repositories.has(repository)) return;
    const digests = this.#manifests.get(repository) ?? new Set<Digest>();
    this.#manifests.set(repository, digests);
    if (digests.has(digest)) return;
    digests.add(digest);
    this.#size += 1;
  }

  has({ repository, digest }: RepositoryManifest): boolean {
    return (
      this.repositories.has(repository) || this.#manifests.get(repository)?.has(digest) === true
    );
  }

  /** Manifests, those of whole repositories left out. */
  get size(): number {
    return this.#size;
  }

  *manifests(): Generator<RepositoryManifest> {
    for (const [repository, digests] of this.#manifests) {
      for (const digest of digests) yield { repository, digest };
    }
  }
}
