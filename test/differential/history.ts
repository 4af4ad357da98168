// A random history of pushes and deletions, played against any registry. From a seed alone: the same seed
// gives the same history. Remembers what must be pullable at its end.
import type { Blob, Image } from "../support/images.ts";
import { imageOf, makeIndex, makeLayer, type Layer } from "../support/images.ts";
import type { PushClient } from "../support/push-client.ts";

const repositories = ["a", "b/c", "b/c/d"] as const;
const tags = ["latest", "v1", "v2", "v3"] as const;

/** Xorshift: enough to choose with. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) | 1;
    for (let n = 0; n < 8; n++) this.below(2);
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  of<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to choose from");
    return item;
  }
}

/** What a registry holds: of each repository its manifests, and what its tags name. */
interface Held {
  readonly manifests: Set<string>;
  readonly tags: Map<string, string>;
}

export class History {
  readonly #random: Random;
  readonly #seed: number;
  readonly #http: PushClient;
  readonly #held = new Map<string, Held>(
    repositories.map((name) => [name, { manifests: new Set(), tags: new Map() }]),
  );
  #made = 0;

  constructor(http: PushClient, seed: number) {
    this.#http = http;
    this.#seed = seed;
    this.#random = new Random(seed);
  }

  async play(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) await this.#step();
  }

  /** The digest that each `repository:tag` names. */
  get tagged(): ReadonlyMap<string, string> {
    return new Map(
      [...this.#held].flatMap(([repository, held]) =>
        [...held.tags].map(([tag, digest]) => [`${repository}:${tag}`, digest] as const),
      ),
    );
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const repository = random.of(repositories);
    const what = random.below(20);
    if (what < 11) await this.#pushImage(repository, random.of(tags));
    else if (what < 13) await this.#pushIndex(repository, random.of(tags));
    else if (what < 15) await this.#http.pushBlob(repository, this.#layer());
    else if (what < 16) await this.#interruptUpload(repository);
    else await this.#delete(repository);
  }

  async #pushImage(repository: string, tag: string): Promise<void> {
    const image = this.#image();
    await this.#http.push(repository, tag, image);
    this.#hold(repository, tag, [image.manifest.digest]);
  }

  async #pushIndex(repository: string, tag: string): Promise<void> {
    const { manifest, images } = makeIndex(`${this.#seed}/${this.#made++}`, {
      amd64: [this.#layer()],
      arm64: [this.#layer(), this.#layer()],
    });
    for (const image of images) await this.#http.push(repository, image.manifest.digest, image);
    await this.#http.putManifest(repository, tag, manifest);
    const digests = [manifest, ...images.map((image) => image.manifest)].map(
      (blob: Blob) => blob.digest,
    );
    this.#hold(repository, tag, digests);
  }

  async #interruptUpload(repository: string): Promise<void> {
    const location = await this.#http.beginUpload(repository);
    const sent = await this.#http.send(location, {
      method: "PATCH",
      headers: { "Content-Type": "application/octet-stream" },
      body: "half of something",
      expect: [202],
    });
    await sent.arrayBuffer();
  }

  /** By digest, with all tags that name it, as the classic registry's clients do. */
  async #delete(repository: string): Promise<void> {
    const held = this.#held.get(repository);
    if (held === undefined || held.tags.size === 0) return;
    // What a tag names itself: deleting a child would break its index, in either registry.
    const digest = this.#random.of([...held.tags.values()]);
    await this.#http.deleteManifest(repository, digest);
    held.manifests.delete(digest);
    for (const [tag, named] of held.tags) if (named === digest) held.tags.delete(tag);
  }

  #hold(repository: string, tag: string, digests: readonly string[]): void {
    const held = this.#held.get(repository);
    for (const digest of digests) held?.manifests.add(digest);
    if (digests[0] !== undefined) held?.tags.set(tag, digests[0]);
  }

  /** One of a few, so that images share them. */
  #layer(): Layer {
    return makeLayer(
      `${this.#seed}/layer/${this.#random.below(12)}`,
      200 + this.#random.below(2) * 300,
    );
  }

  #image(): Image {
    const layers = Array.from({ length: 1 + this.#random.below(3) }, () => this.#layer());
    // Some images are pushed again as they were.
    const label = this.#random.below(4) === 0 ? "again" : String(this.#made++);
    return imageOf(layers, { label: `${this.#seed}/${label}` });
  }
}
