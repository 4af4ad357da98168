// One client of the storm. It pushes, overwrites, deletes, pushes again and pulls under tags of its own
// in repositories that it shares with the others, from layers that all share, and remembers what was
// acknowledged: that must be pullable at any moment. Its choices follow from its seed.
import { join } from "node:path";

import type { Image, Layer } from "../support/images.ts";
import { imageOf, makeLayer, writeLayout } from "../support/images.ts";
import type { PushClient } from "../support/push-client.ts";
import type { Client } from "./clients.ts";

const stormRepositories = ["storm/a", "storm/b", "storm/c", "d"] as const;
const tagsPerClient = 6;
const layersPerImage = 3;
/** How often skopeo is started again when its manifest was refused. */
const skopeoAttempts = 10;

/** Layers of 8 to 96 KiB, few enough that every image shares most of its own with others. */
export function makeLayerPool(): Layer[] {
  return Array.from({ length: 24 }, (_, n) => makeLayer(`storm/${n}`, (1 + (n % 12)) * 8 * 1024));
}

export type Acknowledged = ReadonlyMap<string, Image>;

interface StormCounts {
  pushes: number;
  deletions: number;
  pulls: number;
}

interface StormClientOptions {
  readonly name: string;
  readonly http: PushClient;
  readonly pool: readonly Layer[];
  readonly seed: number;
  /** How it pushes; by HTTP itself when null. */
  readonly skopeo: { readonly client: Client; readonly directory: string } | null;
}

export class StormClient {
  readonly name: string;
  readonly http: PushClient;
  readonly counts: StormCounts = { pushes: 0, deletions: 0, pulls: 0 };
  /** By `repository:tag`. */
  readonly #acknowledged = new Map<string, Image>();
  /** Images that were there once, to push the same bytes again. */
  readonly #deleted: Image[] = [];
  readonly #pool: readonly Layer[];
  readonly #skopeo: StormClientOptions["skopeo"];
  #choice: number;
  #made = 0;

  constructor({ name, http, pool, seed, skopeo }: StormClientOptions) {
    this.name = name;
    this.http = http;
    this.#pool = pool;
    this.#skopeo = skopeo;
    this.#choice = seed;
  }

  get acknowledged(): Acknowledged {
    return this.#acknowledged;
  }

  async runUntil(deadline: number): Promise<void> {
    while (performance.now() < deadline) await this.#step();
  }

  async #step(): Promise<void> {
    const repository = stormRepositories[this.#pick(stormRepositories.length)] ?? "d";
    const tag = `${this.name}-${this.#pick(tagsPerClient)}`;
    const present = this.#acknowledged.get(`${repository}:${tag}`);
    const dice = this.#pick(100);
    if (present === undefined || dice < 20) {
      await this.#push(repository, tag, this.#nextImage());
    } else if (dice < 60) {
      await this.#delete(repository, tag, present);
    } else {
      await this.expectPullable(repository, tag, present);
    }
  }

  async #push(repository: string, tag: string, image: Image): Promise<void> {
    const key = `${repository}:${tag}`;
    // Until the answer is here, either the old or the new image may be the tag's.
    this.#acknowledged.delete(key);
    if (this.#skopeo === null) {
      const other = stormRepositories[this.#pick(stormRepositories.length)] ?? "d";
      const mounting = other === repository ? {} : { mountFrom: other };
      await this.http.pushMounting({ repository, tag, image, ...mounting });
    } else {
      await this.#pushWithSkopeo(repository, tag, image);
    }
    this.#acknowledged.set(key, image);
    this.counts.pushes += 1;
  }

  async #pushWithSkopeo(repository: string, tag: string, image: Image): Promise<void> {
    const { client, directory } = this.#skopeo ?? {};
    if (client === undefined || directory === undefined) throw new Error("this client has none");
    const layout = join(directory, `${this.name}-${this.#made}`);
    await writeLayout(layout, { image });
    const target = `${new URL(this.http.url).host}/${repository}:${tag}`;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await client.push(`oci:${layout}:image`, target);
        return;
      } catch (error) {
        const refused = error instanceof Error && /blob unknown/i.test(error.message);
        if (!refused || attempt === skopeoAttempts) throw error;
        this.http.retriedPushes += 1;
      }
    }
  }

  async #delete(repository: string, tag: string, image: Image): Promise<void> {
    this.#acknowledged.delete(`${repository}:${tag}`);
    // The same image may be under another tag of this client: then only the tag may go.
    const digest = image.manifest.digest;
    const shared = [...this.#acknowledged].some(([key, other]) => {
      return key.startsWith(`${repository}:`) && other.manifest.digest === digest;
    });
    await this.http.deleteManifest(repository, shared || this.#pick(4) === 0 ? tag : digest);
    this.#deleted.push(image);
    this.counts.deletions += 1;
  }

  async expectPullable(repository: string, tag: string, image: Image): Promise<void> {
    const pulled = await this.http.pull(repository, tag);
    if (pulled.digest !== image.manifest.digest) {
      const wanted = image.manifest.digest;
      throw new Error(`${repository}:${tag} is ${pulled.digest}, acknowledged was ${wanted}`);
    }
    this.counts.pulls += 1;
  }

  /** Every second time one that was deleted; else a new one, which no other client ever makes. */
  #nextImage(): Image {
    this.#made += 1;
    const again = this.#pick(2) === 0 ? this.#deleted[this.#pick(this.#deleted.length)] : undefined;
    if (again !== undefined) return again;
    const layers = Array.from({ length: layersPerImage }, () => {
      return this.#pool[this.#pick(this.#pool.length)];
    });
    const known = [...new Set(layers)].filter((layer) => layer !== undefined);
    return imageOf(known, { label: `${this.name}/${this.#made}` });
  }

  /** A whole number below `bound`, from a linear congruential generator. */
  #pick(bound: number): number {
    this.#choice = (Math.imul(this.#choice, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#choice / 2 ** 32) * bound);
  }
}
