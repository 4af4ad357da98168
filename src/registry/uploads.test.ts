import { beforeEach, describe, expect, test } from "bun:test";
import { createMemoryIndex } from "../index/sqlite-index.ts";
import {
  BlobUploadUnknownError,
  type Digest,
  digestOf,
  parseRepositoryName,
  UnavailableError,
} from "../oci/index.ts";
import { MemoryStorage } from "../storage/memory.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import type { Index } from "./ports/index.ts";
import type { UploadAsked, UploadBody } from "./registry.ts";
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
  return (await uploads.begin(repository, { caller, user: null, algorithm: "sha256" })).id;
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
    await uploads.append({ repository, id, caller, user: null }, body());
    expect(asked).toBe(0);
    const next = process({ findUpload });
    expect(await next.finish({ repository, id, caller, user: null }, digest, null)).toMatchObject({
      digest,
    });
    expect(asked).toBe(1);
  });

  test("is none of another repository", async () => {
    const uploads = process();
    const other = parseRepositoryName("team/other");
    const id = await begun(uploads);
    const asked = await Promise.allSettled([
      uploads.status({ repository: other, id, caller, user: null }),
    ]);
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
    await uploads.append({ repository, id: finished, caller, user: null }, body());
    const cancelled = await begun(uploads);
    const expired = await begun(uploads);
    const fact = { repository, id: expired, owner: null, startedAtMs: 1_000 };
    const ends: Promise<unknown>[] = [
      uploads.finish({ repository, id: finished, caller, user: null }, digest, null),
      uploads.cancel({ repository, id: cancelled, caller, user: null }),
      uploads.expire(fact, 2_000),
    ];
    for (const { reason } of (await Promise.allSettled(ends)) as PromiseRejectedResult[]) {
      expect(reason).toBe(late);
    }
    for (const id of [finished, cancelled, expired]) {
      const asked = await Promise.allSettled([
        uploads.status({ repository, id, caller, user: null }),
      ]);
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
    const upload = { repository, id, caller, user: null };
    await uploads.append(upload, body());
    await Promise.allSettled([uploads.finish(upload, digest, null)]);
    fails = false;
    // Its bytes are at the blob's path already, so it begins again from nothing, as after a kill.
    expect(await uploads.status({ repository, id, caller, user: null })).toEqual({ sizeBytes: 0 });
    expect(await uploads.finish(upload, digest, body())).toMatchObject({ digest });
  });

  test("of no bytes ends as the empty blob, without a body", async () => {
    const uploads = process();
    const id = await begun(uploads);
    const empty = digestOf(new Uint8Array(0));
    const blob = await uploads.finish({ repository, id, caller, user: null }, empty, null);
    expect(blob).toEqual({ digest: empty, sizeBytes: 0 });
  });
});

describe("an upload session of somebody", () => {
  const bob = { caller: "bob", user: "bob" };
  const nobody = { caller: "192.0.2.1", user: null };

  async function alices(uploads: UploadService): Promise<UploadAsked> {
    const uploader = { caller, user: "alice" };
    const { id } = await uploads.begin(repository, { ...uploader, algorithm: "sha256" });
    return { repository, id, ...uploader };
  }

  async function codeOf(asked: Promise<unknown>): Promise<string | null> {
    const [settled] = await Promise.allSettled([asked]);
    const reason: unknown = settled.status === "rejected" ? settled.reason : null;
    return reason instanceof BlobUploadUnknownError ? reason.code : null;
  }

  test("is unknown to everybody else, in the words for one that is not there, and unharmed", async () => {
    const first = process();
    const upload = await alices(first);
    await first.append(upload, body());
    const absent = { ...upload, id: crypto.randomUUID() };
    // Remembered, and continued by another process.
    for (const uploads of [first, process()]) {
      for (const other of [bob, nobody]) {
        const asks = (as: UploadAsked): (() => Promise<unknown>)[] => [
          () => uploads.status(as),
          () => uploads.append(as, body()),
          () => uploads.finish(as, digest, null),
          () => uploads.finish(as, digestOf(Buffer.from("wrong")), null),
          () => uploads.cancel(as),
        ];
        for (const ask of asks({ ...upload, ...other })) {
          expect(await codeOf(ask())).toBe("BLOB_UPLOAD_UNKNOWN");
        }
        const messages = [upload, absent].map(async ({ id }) => {
          const asked = uploads.status({ ...upload, ...other, id });
          return await asked.catch((error: unknown) => String(error).replace(id, "ID"));
        });
        expect(new Set(await Promise.all(messages)).size).toBe(1);
      }
    }
    expect(await first.status(upload)).toEqual({ sizeBytes: bytes.length });
    expect(await first.finish(upload, digest, null)).toMatchObject({ digest });
  });

  test("is its owner's in the next process, and after an absence of the row nobody's", async () => {
    const upload = await alices(process());
    await process().append(upload, body());
    expect(await codeOf(process().status({ ...upload, ...bob }))).toBe("BLOB_UPLOAD_UNKNOWN");
    await index.endUpload(upload.id);
    const [difference] = [{ kind: "upload", repository, id: upload.id, startedAtMs: 5 } as const];
    const options = { nowMs: 1_000, recheck: false };
    await index.absorb([difference], options);
    expect(await process().status({ ...upload, ...bob })).toEqual({ sizeBytes: bytes.length });
  });

  test("keeps nobody waiting whose it is not, while it receives", async () => {
    const uploads = process();
    const upload = await alices(uploads);
    const gate = Promise.withResolvers<void>();
    async function* slowly(): AsyncGenerator<Uint8Array> {
      await gate.promise;
      yield bytes;
    }
    const receiving = uploads.append(upload, {
      stream: slowly(),
      from: null,
      lengthBytes: null,
    });
    const order: string[] = [];
    const own = uploads.status(upload).then(() => order.push("own"));
    await codeOf(uploads.status({ ...upload, ...bob }));
    order.push("other");
    gate.resolve();
    await Promise.all([receiving, own]);
    expect(order).toEqual(["other", "own"]);
  });

  test("that nobody who was logged in began is open to whoever may push there", async () => {
    const uploads = process();
    const { id } = await uploads.begin(repository, { ...nobody, algorithm: "sha256" });
    await uploads.append({ repository, id, ...nobody }, body());
    expect(await uploads.finish({ repository, id, ...bob }, digest, null)).toMatchObject({
      digest,
    });
  });

  test("ends with its repository and by its age, whosesoever it is", async () => {
    const uploads = process();
    const [first, second] = [await alices(uploads), await alices(uploads)];
    await uploads.end(repository, first.id);
    const fact = { repository, id: second.id, owner: "alice", startedAtMs: 1_000 };
    expect(await uploads.expire(fact, 2_000)).toBe(true);
    for (const upload of [first, second]) {
      expect(await codeOf(uploads.status(upload))).toBe("BLOB_UPLOAD_UNKNOWN");
    }
  });
});
