// Starts a crowd of bad clients, and measures what an honest one and the registry's process feel of it.
import { join } from "node:path";
import { type Footprint, footprintOf, settled } from "../support/footprint.ts";
import { type Blob, digestOf, mediaTypes, randomBytesOf } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { repositoryRoot, type RunningRegistry } from "../support/registry-process.ts";
import type { CrowdKind, CrowdOptions } from "./crowd-worker.ts";

interface Crowd extends AsyncDisposable {
  /** How many connections were made. */
  readonly there: number;
  /** Ends all connections at once; how many the registry had closed itself. */
  leave(): Promise<number>;
}

const bun = join(repositoryRoot, "node_modules/.bin/bun");

/** Resolves when all of them are there. */
async function startCrowd(options: CrowdOptions): Promise<Crowd> {
  const script = join(import.meta.dir, "crowd-worker.ts");
  const child = Bun.spawn([bun, script, JSON.stringify(options)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const line = async (): Promise<string> => {
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`the crowd (${options.kind}) ended: ${text}`);
      text += value;
    }
    const first = text.slice(0, text.indexOf("\n"));
    text = text.slice(first.length + 1);
    return first;
  };
  const { there } = JSON.parse(await line()) as { there: number };
  const leave = async (): Promise<number> => {
    await child.stdin.end();
    const { closed } = JSON.parse(await line()) as { closed: number };
    await child.exited;
    return closed;
  };
  return {
    there,
    leave,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** Pushes wait for the disk, which others use too; pulls tell what the server feels. */
const pullsOfEach = 10;

/** Milliseconds of whole pushes, and of requests that pull. */
export interface Times {
  readonly pushMs: readonly number[];
  readonly pullMs: readonly number[];
}

function joined(one: Times, other: Times): Times {
  return {
    pushMs: [...one.pushMs, ...other.pushMs],
    pullMs: [...one.pullMs, ...other.pullMs],
  };
}

/** One after another, small pushes, and pulls of what was pushed. */
class HonestClient {
  readonly #http: PushClient;
  readonly #repository: string;
  #pushes = 0;

  constructor(url: string, repository: string) {
    this.#http = new PushClient(url);
    this.#repository = repository;
  }

  workFor(ms: number): Promise<Times> {
    return this.workWhile(Bun.sleep(ms));
  }

  /** At least once. @throws when a request is not answered as it should be. */
  async workWhile(underWay: Promise<unknown>): Promise<Times> {
    const times: { pushMs: number[]; pullMs: number[] } = { pushMs: [], pullMs: [] };
    const other = { isOver: false };
    // Whether it went well is for who awaits it.
    void underWay.then(
      () => (other.isOver = true),
      () => (other.isOver = true),
    );
    do {
      this.#pushes += 1;
      const bytes = Buffer.from(`honest ${this.#repository} ${this.#pushes}`);
      const blob = { mediaType: mediaTypes.layer, digest: digestOf(bytes), bytes };
      const begun = performance.now();
      await this.#http.pushBlob(this.#repository, blob);
      await this.#http.putManifest(this.#repository, "latest", manifestOf(blob));
      times.pushMs.push(performance.now() - begun);
      for (let pull = 0; pull < pullsOfEach; pull += 1) {
        const pulling = performance.now();
        const back = await this.#http.getBlob(this.#repository, blob.digest);
        times.pullMs.push(performance.now() - pulling);
        if (Buffer.compare(back, bytes) !== 0) throw new Error("other bytes came back");
      }
    } while (!other.isOver);
    return times;
  }
}

export function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function manifestOf({ mediaType, digest, bytes }: Blob): Blob {
  const layer = { mediaType, digest, size: bytes.length };
  const config = { ...layer, mediaType: mediaTypes.config };
  const value = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] };
  const text = Buffer.from(JSON.stringify(value));
  return { mediaType: mediaTypes.manifest, digest: digestOf(text), bytes: text };
}

/** What was felt of one crowd. */
export interface Felt {
  readonly kind: CrowdKind;
  readonly there: number;
  /** How many the registry ended before they went. */
  readonly endedByRegistry: number;
  readonly before: Footprint;
  readonly during: Footprint;
  readonly after: Footprint;
  /** What an honest client waits: without the crowd, while it comes, with it there and while it goes. */
  readonly calm: Times;
  readonly arriving: Times;
  readonly crowded: Times;
}

export interface Load {
  readonly kind: CrowdKind;
  readonly count: number;
  readonly ms: number;
}

/** The registry's descriptors may be a few more than before: those of files that it keeps open. */
export const moreDescriptorsMax = 10;
/** What a crowd may leave behind: a fuller heap, warm code, pages of the index. */
export const moreMiBMax = 64;
const settleMsMax = 30_000;

export async function underCrowd(
  server: Pick<RunningRegistry, "host" | "url" | "pid">,
  load: Load,
  digest: string,
): Promise<Felt> {
  const { kind, count, ms } = load;
  const honest = new HonestClient(server.url, "honest/client");
  const calm = await honest.workFor(ms);
  const before = await footprintOf(server.pid);
  const port = Number(server.host.split(":")[1]);
  const starting = startCrowd({ kind, count, port, repository: downloaded, digest });
  const arriving = await honest.workWhile(starting);
  await using crowd = await starting;
  const there = await honest.workFor(ms);
  const during = await footprintOf(server.pid);
  const leaving = crowd.leave();
  const crowded = joined(there, await honest.workWhile(leaving));
  const endedByRegistry = await leaving;
  const after = await settled(
    server.pid,
    ({ descriptors, residentMiB }) =>
      descriptors <= before.descriptors + moreDescriptorsMax &&
      residentMiB <= before.residentMiB + moreMiBMax,
    settleMsMax,
  );
  const footprints = { before, during, after };
  return {
    kind,
    there: crowd.there,
    endedByRegistry,
    ...footprints,
    calm,
    arriving,
    crowded,
  };
}

/** The repository whose blob the downloads ask for. */
const downloaded = "left/downloads";

/** More than the sockets' buffers hold; the digest. */
export async function pushDownload(url: string): Promise<string> {
  const bytes = randomBytesOf("left downloads", 16 * 1024 * 1024);
  const blob = { mediaType: mediaTypes.layer, digest: digestOf(bytes), bytes };
  await new PushClient(url).pushBlob(downloaded, blob);
  return blob.digest;
}
