// What is there, for people to look at: repositories, tags, and one image with everything that hangs on it.
// Changes nothing, counts as no pull, and never asks the index for more at once than a request may wait for.
import {
  type Digest,
  digestOf,
  algorithmOf,
  manifestBytesMax,
  ManifestUnknownError,
  NameUnknownError,
  type Reference,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import { blobDataPath } from "../storage/layout.ts";
import { configBytesMax, type ImageConfig, readImageConfig } from "./image-config.ts";
import { RankedTags, type TagRanking } from "./ranked-tags.ts";
import { type Descriptor, type ManifestOutline, outlineOf } from "./manifest-outline.ts";
import type {
  BlobUsers,
  Index,
  ManifestFact,
  Page,
  ReferrerFact,
  RepositoryFact,
  ListedTag,
  TagPage,
  TagPosition,
} from "./ports/index.ts";
import type { Storage } from "./ports/storage.ts";
import type { Registry } from "./registry.ts";

/** Rows of one look-up, which others wait for: well under a millisecond. */
const tagsAtOnce = 50;
const repositoriesAtOnce = 50;
const namesAtOnce = 500;
const layersAtOnce = 10;
const childrenAtOnce = 20;

/** Names that one search looks at; who searches on goes on from there. */
const namesSearchedMax = 20_000;

/** Tags of a repository that are ranked: a second's work, in pieces that nobody waits for. */
export const tagsRankedMax = 50_000;

/** Layers and children of which more is told than the manifest says; and shown at all. */
const partsMax = 500;
/** Other repositories that are named of a layer. */
const usersNamedMax = 10;
const tagsNamedMax = 100;
const referrersShownMax = 20;

export interface RepositoryPage {
  readonly repositories: readonly RepositoryFact[];
  /** Where the next page begins; null: there is none. */
  readonly next: RepositoryName | null;
}

export interface LayerView extends Descriptor {
  /** Null: nobody asked the index about it, there being very many. */
  readonly usedBy: BlobUsers | null;
  /** What lies in the registry, in bytes; null: nothing. */
  readonly storedBytes: number | null;
  /** The repository itself has it, so who may pull there may pull it. */
  readonly isInRepository: boolean;
}

export interface ChildView extends Descriptor {
  readonly isPresent: boolean;
  readonly contentBytes: number | null;
}

export interface ConfigView extends Descriptor {
  readonly content: ImageConfig | null;
  /** Why there is no content; null: there is. */
  readonly problem: "absent" | "too-large" | "not-an-image" | "unreadable" | null;
}

export interface ImageView {
  readonly repository: RepositoryName;
  readonly manifest: ManifestFact;
  readonly outline: ManifestOutline;
  readonly pushedAtMs: number;
  readonly pulledAtMs: number | null;
  readonly artifactType: string | null;
  readonly tags: readonly Tag[];
  readonly areTagsTruncated: boolean;
  readonly config: ConfigView | null;
  readonly layers: readonly LayerView[];
  readonly children: readonly ChildView[];
  readonly referrers: readonly ReferrerFact[];
  readonly areReferrersTruncated: boolean;
}

export interface InspectionParts {
  readonly index: Pick<
    Index,
    | "listRepositories"
    | "describeRepositories"
    | "describeRepository"
    | "describeTags"
    | "describeImage"
    | "describeChildren"
    | "blobUsers"
    | "findBlob"
    | "findSizes"
  >;
  readonly storage: Pick<Storage, "readSmall">;
  readonly registry: Pick<Registry, "manifests" | "catalog">;
}

export class Inspection {
  readonly #parts: InspectionParts;

  constructor(parts: InspectionParts) {
    this.#parts = parts;
  }

  /**
   * Repositories whose name matches, in byte order. A page may be short, and even empty, where very many
   * names were looked at: then `next` says where to go on.
   */
  async listRepositories(
    page: Page<RepositoryName>,
    matches: ((name: string) => boolean) | null,
  ): Promise<RepositoryPage> {
    return matches === null ? await this.#allOf(page) : await this.#search(page, matches);
  }

  async #allOf(page: Page<RepositoryName>): Promise<RepositoryPage> {
    const { index } = this.#parts;
    const found: RepositoryFact[] = [];
    let { after } = page;
    // One more than is asked for tells whether there is a next page.
    const wanted = page.limit + 1;
    while (found.length < wanted) {
      const limit = Math.min(repositoriesAtOnce, wanted - found.length);
      const some = await index.describeRepositories({ after, limit });
      found.push(...some);
      after = some.at(-1)?.name ?? after;
      if (some.length < limit) break;
      await turn();
    }
    const repositories = found.slice(0, page.limit);
    const next = found.length > page.limit ? (repositories.at(-1)?.name ?? null) : null;
    return { repositories, next };
  }

  async #search(
    page: Page<RepositoryName>,
    matches: (name: string) => boolean,
  ): Promise<RepositoryPage> {
    const { index } = this.#parts;
    const repositories: RepositoryFact[] = [];
    let { after } = page;
    for (let seen = 0; seen < namesSearchedMax; seen += namesAtOnce) {
      const names = await index.listRepositories({ after, limit: namesAtOnce });
      for (const name of names) {
        if (!matches(name)) continue;
        // There is one more than fits: the next page begins with it.
        if (repositories.length === page.limit) return { repositories, next: after };
        const fact = await index.describeRepository(name);
        if (fact !== null) repositories.push(fact);
        after = name;
      }
      after = names.at(-1) ?? after;
      if (names.length < namesAtOnce) return { repositories, next: null };
      await turn();
    }
    return { repositories, next: after };
  }

  /** @throws NameUnknownError */
  async describeRepository(repository: RepositoryName): Promise<RepositoryFact> {
    const { index, registry } = this.#parts;
    // Looks at the tree, too, while that is being compared (INV-8).
    await registry.catalog.listTags(repository, { after: null, limit: 1 });
    const fact = await index.describeRepository(repository);
    if (fact === null) throw unknownRepository(repository);
    return fact;
  }

  /** @throws NameUnknownError */
  async listTags(
    repository: RepositoryName,
    page: TagPage,
  ): Promise<{ readonly tags: readonly ListedTag[]; readonly next: ListedTag | null }> {
    const { index, registry } = this.#parts;
    await registry.catalog.listTags(repository, { after: null, limit: 1 });
    const found: ListedTag[] = [];
    let { after } = page;
    const wanted = page.limit + 1;
    while (found.length < wanted) {
      const limit = Math.min(tagsAtOnce, wanted - found.length);
      const some = await index.describeTags(repository, { ...page, after, limit });
      if (some === null) throw unknownRepository(repository);
      found.push(...some);
      after = some.at(-1) ?? after;
      if (some.length < limit) break;
      await turn();
    }
    const tags = found.slice(0, page.limit);
    return { tags, next: found.length > page.limit ? (tags.at(-1) ?? null) : null };
  }

  /**
   * Tags by what the index keeps no order of: all of them are looked at, a page at a time, and as many kept
   * as are asked for. Null: there are too many. @throws NameUnknownError
   */
  async rankTags(
    repository: RepositoryName,
    ranking: TagRanking,
  ): Promise<{ readonly tags: readonly ListedTag[]; readonly next: ListedTag | null } | null> {
    const { index, registry } = this.#parts;
    await registry.catalog.listTags(repository, { after: null, limit: 1 });
    const ranked = new RankedTags(ranking);
    const page = { sort: "name", descending: false, limit: tagsAtOnce } as const;
    let after: TagPosition | null = null;
    for (let seen = 0; seen < tagsRankedMax; seen += tagsAtOnce) {
      const some: readonly ListedTag[] | null = await index.describeTags(repository, {
        ...page,
        after,
      });
      if (some === null) throw unknownRepository(repository);
      for (const tag of some) ranked.add(tag);
      if (some.length < tagsAtOnce) return ranked.page();
      after = some.at(-1) ?? null;
      await turn();
    }
    return null;
  }

  /** @throws ManifestUnknownError */
  async describeImage(repository: RepositoryName, reference: Reference): Promise<ImageView> {
    const { index, registry } = this.#parts;
    const manifest = await registry.manifests.find(repository, reference);
    const bytes = await this.#read(manifest.digest, manifestBytesMax);
    const fact = await index.describeImage(repository, manifest.digest, tagsNamedMax + 1);
    if (bytes === null || fact === null) throw unknownManifest(repository, reference);
    const outline = outlineOf(bytes);
    const referrers = await registry.manifests.listReferrers(repository, manifest.digest, {
      after: null,
      limit: referrersShownMax + 1,
      artifactType: null,
    });
    return {
      repository,
      manifest,
      outline,
      pushedAtMs: fact.pushedAtMs,
      pulledAtMs: fact.pulledAtMs,
      artifactType: fact.artifactType,
      tags: fact.tags.slice(0, tagsNamedMax),
      areTagsTruncated: fact.tags.length > tagsNamedMax,
      config: await this.#config(repository, outline),
      layers: await this.#layers(repository, outline.layers.slice(0, partsMax)),
      children: await this.#children(repository, outline.manifests.slice(0, partsMax)),
      referrers: referrers.slice(0, referrersShownMax),
      areReferrersTruncated: referrers.length > referrersShownMax,
    };
  }

  async #layers(
    repository: RepositoryName,
    layers: readonly Descriptor[],
  ): Promise<readonly LayerView[]> {
    const { index } = this.#parts;
    const views: LayerView[] = [];
    for (const some of inParts(layers, layersAtOnce)) {
      const sizes = await index.findSizes(some.map(({ digest }) => digest));
      for (const layer of some) {
        const usedBy = await index.blobUsers(layer.digest, repository, usersNamedMax);
        const storedBytes = sizes.get(layer.digest) ?? null;
        const isInRepository = (await index.findBlob(repository, layer.digest)) !== null;
        views.push({ ...layer, usedBy, storedBytes, isInRepository });
      }
      await turn();
    }
    return views;
  }

  async #children(
    repository: RepositoryName,
    children: readonly Descriptor[],
  ): Promise<readonly ChildView[]> {
    const views: ChildView[] = [];
    for (const some of inParts(children, childrenAtOnce)) {
      const digests = some.map(({ digest }) => digest);
      const facts = await this.#parts.index.describeChildren(repository, digests);
      for (const [n, child] of some.entries()) {
        const { isPresent = false, contentBytes = null } = facts[n] ?? {};
        views.push({ ...child, isPresent, contentBytes });
      }
      await turn();
    }
    return views;
  }

  async #config(
    repository: RepositoryName,
    { config, layers }: ManifestOutline,
  ): Promise<ConfigView | null> {
    if (config === null) return null;
    const without = (problem: ConfigView["problem"]): ConfigView => {
      return { ...config, content: null, problem };
    };
    if (config.mediaType === null || !imageConfigTypes.has(config.mediaType)) {
      return without("not-an-image");
    }
    // In this repository: what others hold is not its to tell.
    const blob = await this.#parts.index.findBlob(repository, config.digest);
    if (blob === null) return without("absent");
    if (blob.sizeBytes > configBytesMax) return without("too-large");
    const bytes = await this.#read(config.digest, configBytesMax);
    if (bytes === null) return without("absent");
    const digests = layers.map(({ digest }) => digest);
    const content = readImageConfig(bytes, digests);
    return content === null ? without("unreadable") : { ...config, content, problem: null };
  }

  /** Null: not there, or altered (INV-9). */
  async #read(digest: Digest, bytesMax: number): Promise<Uint8Array | null> {
    const bytes = await this.#parts.storage.readSmall(blobDataPath(digest), bytesMax);
    return bytes !== null && digestOf(bytes, algorithmOf(digest)) === digest ? bytes : null;
  }
}

const imageConfigTypes: ReadonlySet<string> = new Set([
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
]);

/** Others get their turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function* inParts<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

function unknownRepository(repository: RepositoryName): NameUnknownError {
  return new NameUnknownError(`there is no repository ${repository}`, {
    detail: { name: repository },
  });
}

function unknownManifest(repository: RepositoryName, reference: Reference): ManifestUnknownError {
  return new ManifestUnknownError(`${repository} has no manifest ${reference}`, {
    detail: { name: repository, reference },
  });
}
