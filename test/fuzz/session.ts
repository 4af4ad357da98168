// What one connection's requests know: what they pushed, which uploads are open, which cursors and
// tokens they were given. Requests made of it reach deep; all of it is bounded.
import type { Answer } from "./wire.ts";
import type { Asked } from "./asked.ts";

const keptMax = 40;

/** Adds, and forgets the oldest. */
export function remember<T>(list: T[], value: T): void {
  list.push(value);
  if (list.length > keptMax) list.shift();
}

export interface Holdings {
  readonly blobs: string[];
  readonly manifests: string[];
  readonly tags: string[];
}

export interface OpenUpload {
  readonly repository: string;
  /** Path and query, as the registry gave it. */
  location: string;
  readonly chunks: Uint8Array[];
}

export class Session {
  readonly #holdings = new Map<string, Holdings>();
  readonly uploads: OpenUpload[] = [];
  readonly cursors: string[] = [];
  readonly deletionIds: number[] = [];
  /** Of the registry's own, or a token server's. */
  readonly tokens: string[] = [];

  of(repository: string): Holdings {
    let holdings = this.#holdings.get(repository);
    if (holdings === undefined) {
      holdings = { blobs: [], manifests: [], tags: [] };
      this.#holdings.set(repository, holdings);
    }
    return holdings;
  }

  /** Takes what an answer gives away of where to go on. */
  learn(answer: Answer): void {
    const text = answer.body.length < 100_000 ? answer.body.toString("latin1") : "";
    const cursor = /cursor=([\w-]{1,1000})/.exec(text)?.[1];
    if (cursor !== undefined) remember(this.cursors, cursor);
    const id = /"id":(\d{1,15})\b/.exec(text)?.[1];
    if (id !== undefined) remember(this.deletionIds, Number(id));
    const token = /"token":"([\w.-]+)"/.exec(text)?.[1];
    if (token !== undefined) remember(this.tokens, token);
  }
}

/** A request, and what its answer means to the session if it goes out as it is. */
export interface Shot {
  readonly asked: Asked;
  readonly heard?: (answer: Answer) => void;
}

/** Path and query of a Location, which may be absolute. */
export function pathOf(location: string): string {
  const match = /^https?:\/\/[^/]*(\/.*)$/.exec(location);
  return match?.[1] ?? location;
}
