import { beforeEach, describe, expect, test } from "bun:test";
import { createMemoryIndex } from "../index/sqlite-index.ts";
import { type Digest, digestOf, parseRepositoryName, UnavailableError } from "../oci/index.ts";
import { MemoryStorage } from "../storage/memory.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import type { Index } from "./ports/index.ts";
import type { UploadBody } from "./registry.ts";
import { UploadService } from "./uploads.ts";

const repository = parseRepositoryName("team/app");
const caller = "alice";
const bytes = Buffer.from("the bytes of a blob");
const digest = digestOf(bytes);

let index: Index;
let storage: MemoryStorage;

/** A process of its own on the same index and storage, with some of the index's methods replaced. */
function process(changed: Partial<Index> = {}): UploadService {
  return new UploadService({
    index: { ...index, ...changed },
    storage,
    locks: new KeyedLocks<Digest>(),
    clock: { now: () => 1_000 },
    reports: { error: () => undefined, info: () => undefined },
    followTree: () => undefined,
    treeLookup: () => null,
    options: {
      graceMs: 1_000,
      readOnly: false,
      validation: { urlsAllow: null, urlsDeny: [], indexChildren: "all" },
    },
  });
}

beforeEach(() => {
  index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
  storage = new MemoryStorage();
});

async function* once(): AsyncGenerator<Uint8Array> {
  yield bytes;
}
const body = (): UploadBody => ({ stream: once(), from: null, lengthBytes: null });

async function begun(uploads: UploadService): Promise<string> {
  return (await uploads.begin(repository, { caller, algorithm: "sha256" })).id;
}

describe("an upload session", () => {
  test("is asked for in the index only by a process that did not begin it", async () => {
    let asked = 0;
    const findUpload: Index["findUpload"] = (...args) => {
      asked++;
      return index.findUpload(...args);
    };
    const uploads = process({ findUpload });
    const id = await begun(uploads);
    await uploads.append({ repository, id, caller }, body());
    expect(asked).toBe(0);
    const next = process({ findUpload });
    expect(await next.finish({ repository, id, caller }, digest, null)).toMatchObject({ digest });
    expect(asked).toBe(1);
  });

  test("is none of another repository", async () => {
    const uploads = process();
    const other = parseRepositoryName("team/other");
    const id = await begun(uploads);
    const asked = await Promise.allSettled([uploads.status(other, id)]);
    expect(asked).toMatchObject([{ status: "rejected", reason: { code: "BLOB_UPLOAD_UNKNOWN" } }]);
  });

  test("is over for whoever asks once the index says so, though its answer came too late", async () => {
    const late = new UnavailableError("too late");
    const tooLate =
      <Args extends unknown[]>(act: (...args: Args) => Promise<unknown>) =>
      async (...args: Args): Promise<never> => {
        await act(...args);
        throw late;
      };
    const uploads = process({
      finishUpload: tooLate((...args: Parameters<Index["finishUpload"]>) =>
        index.finishUpload(...args),
      ),
      endUpload: tooLate((id: string) => index.endUpload(id)),
      expireUpload: tooLate((id: string, sinceMs: number) => index.expireUpload(id, sinceMs)),
    });
    const finished = await begun(uploads);
    await uploads.append({ repository, id: finished, caller }, body());
    const cancelled = await begun(uploads);
    const expired = await begun(uploads);
    const fact = { repository, id: expired, startedAtMs: 1_000 };
    const ends: Promise<unknown>[] = [
      uploads.finish({ repository, id: finished, caller }, digest, null),
      uploads.cancel(repository, cancelled),
      uploads.expire(fact, 2_000),
    ];
    for (const { reason } of (await Promise.allSettled(ends)) as PromiseRejectedResult[]) {
      expect(reason).toBe(late);
    }
    for (const id of [finished, cancelled, expired]) {
      const asked = await Promise.allSettled([uploads.status(repository, id)]);
      expect(asked).toMatchObject([
        { status: "rejected", reason: { code: "BLOB_UPLOAD_UNKNOWN" } },
      ]);
    }
    expect(await index.findBlob(repository, digest)).toMatchObject({ digest });
  });

  test("goes on where the end of it failed before the index had it", async () => {
    let fails = true;
    const uploads = process({
      finishUpload: async (finished) => {
        if (fails) throw new UnavailableError("not now");
        await index.finishUpload(finished);
      },
    });
    const id = await begun(uploads);
    const upload = { repository, id, caller };
    await uploads.append(upload, body());
    await Promise.allSettled([uploads.finish(upload, digest, null)]);
    fails = false;
    // Its bytes are at the blob's path already, so it begins again from nothing, as after a kill.
    expect(await uploads.status(repository, id)).toEqual({ sizeBytes: 0 });
    expect(await uploads.finish(upload, digest, body())).toMatchObject({ digest });
  });

  test("of no bytes ends as the empty blob, without a body", async () => {
    const uploads = process();
    const id = await begun(uploads);
    const empty = digestOf(new Uint8Array(0));
    const blob = await uploads.finish({ repository, id, caller }, empty, null);
    expect(blob).toEqual({ digest: empty, sizeBytes: 0 });
  });
});
