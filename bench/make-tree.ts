// Writes a big tree in the classic layout, as the classic registry would have written it: each image
// with eight layers of its own and some of the base layers of its repository. Contents are tiny, digests
// are real, and all of it follows from numbers, so any image can be named again without a list.
// 200,000 wanted blobs make 20,000 images, 201,000 blobs, 181,000 layer links in 200 repositories.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { mediaTypes } from "../test/support/images.ts";

const imagesPerRepository = 100;
const ownLayers = 8;
/** Its own layers, its configuration, its manifest. */
const ownBlobs = ownLayers + 2;
const baseLayersPerRepository = 5;

export interface TreeImage {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

interface Part {
  readonly digest: string;
  readonly content: string;
}

interface FullImage extends TreeImage {
  readonly manifest: Part;
  readonly config: Part;
  readonly layers: readonly Part[];
  readonly bases: readonly Part[];
}

export function imageCountOf(wantedBlobs: number): number {
  const repositories = Math.max(1, Math.round(wantedBlobs / ownBlobs / imagesPerRepository));
  return repositories * imagesPerRepository;
}

export function treeImage(n: number): TreeImage {
  const { repository, tag, digest } = fullImage(n);
  return { repository, tag, digest };
}

/** Every tree image that is `set` of its group when the images are dealt into `count` groups. */
export function imagesOfSet(imageCount: number, count: number, set: number): number[] {
  const stride = Math.floor(imageCount / count);
  return Array.from({ length: count }, (_, n) => n * stride + (set % stride));
}

function part(content: string): Part {
  const hex = new Bun.CryptoHasher("sha256").update(content).digest("hex");
  return { digest: `sha256:${hex}`, content };
}

function fullImage(n: number): FullImage {
  const place = Math.floor(n / imagesPerRepository);
  const repository = `team-${place % 20}/project-${place}`;
  const tag = `v${n % imagesPerRepository}`;
  const bases = Array.from({ length: 1 + (n % baseLayersPerRepository) }, (_, base) =>
    part(`base ${base} of ${repository}`),
  );
  const layers = Array.from({ length: ownLayers }, (_, layer) => part(`layer ${layer} of ${n}`));
  const config = part(JSON.stringify({ architecture: "amd64", os: "linux", config: { image: n } }));
  const descriptor = (mediaType: string, { digest, content }: Part): object => {
    return { mediaType, digest, size: content.length };
  };
  const manifest = part(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: descriptor(mediaTypes.config, config),
      layers: [...bases, ...layers].map((layer) => descriptor(mediaTypes.layer, layer)),
    }),
  );
  return { repository, tag, digest: manifest.digest, manifest, config, layers, bases };
}

/** Writes some images of the tree. Does not sync: the caller does, once, when all is written. */
export function writeImages(root: string, numbers: Iterable<number>): void {
  const tree = new TreeWriter(join(root, "docker/registry/v2"));
  for (const n of numbers) {
    const image = fullImage(n);
    for (const each of [image.manifest, image.config, ...image.layers]) tree.blob(each);
    for (const base of image.bases) tree.sharedBlob(base);
    const repository = `repositories/${image.repository}`;
    for (const each of [image.config, ...image.layers]) {
      tree.link(`${repository}/_layers/${pathOf(each.digest)}`, each.digest);
    }
    for (const base of image.bases) {
      tree.sharedLink(`${repository}/_layers/${pathOf(base.digest)}`, base.digest);
    }
    const { digest } = image;
    tree.link(`${repository}/_manifests/revisions/${pathOf(digest)}`, digest);
    tree.link(`${repository}/_manifests/tags/${image.tag}/current`, digest);
    tree.link(`${repository}/_manifests/tags/${image.tag}/index/${pathOf(digest)}`, digest);
  }
}

/** The directories that hold these images alone, for a comparison with plain `rm`. */
export function ownDirectories(root: string, numbers: readonly number[]): string[] {
  return numbers.flatMap((n) => {
    const image = fullImage(n);
    const tree = join(root, "docker/registry/v2");
    const repository = join(tree, "repositories", image.repository);
    const blobs = [image.manifest, image.config, ...image.layers];
    return [
      ...blobs.map((blob) => join(tree, blobDirectory(blob.digest))),
      ...blobs.slice(1).map((blob) => join(repository, "_layers", pathOf(blob.digest))),
    ];
  });
}

function pathOf(digest: string): string {
  return digest.replace(":", "/");
}

function blobDirectory(digest: string): string {
  const hex = digest.slice("sha256:".length);
  return `blobs/sha256/${hex.slice(0, 2)}/${hex}`;
}

/** Knows which directories it has made, because asking the disk each time would be the slowest part. */
class TreeWriter {
  readonly #parents = new Set<string>();

  constructor(readonly root: string) {}

  blob({ digest, content }: Part): void {
    this.#write(blobDirectory(digest), "data", content);
  }

  link(directory: string, digest: string): void {
    this.#write(directory, "link", digest);
  }

  sharedBlob(shared: Part): void {
    if (!existsSync(join(this.root, blobDirectory(shared.digest)))) this.blob(shared);
  }

  sharedLink(directory: string, digest: string): void {
    if (!existsSync(join(this.root, directory))) this.link(directory, digest);
  }

  #write(directory: string, name: string, content: string): void {
    const parent = join(this.root, dirname(directory));
    if (!this.#parents.has(parent)) {
      mkdirSync(parent, { recursive: true });
      this.#parents.add(parent);
    }
    const path = join(this.root, directory);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, name), content);
  }
}
