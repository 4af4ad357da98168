import { expect, test } from "bun:test";
import { createMemoryIndex } from "../index/sqlite-index.ts";
import { digestOf, parseRepositoryName } from "../oci/index.ts";
import { uploadDataPath } from "../storage/layout.ts";
import { MemoryStorage } from "../storage/memory.ts";
import { StoredBytes } from "./stored-bytes.ts";

test("blobs and unfinished uploads count, however many there are", async () => {
  const index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
  const storage = new MemoryStorage();
  const terms = { caller: "ann", nowMs: 0, graceMs: 1 };
  const repository = parseRepositoryName("app");
  let pauses = 0;
  const pause = (): Promise<void> => {
    pauses += 1;
    return Promise.resolve();
  };
  const space = new StoredBytes({ index, storage, capacityBytes: 5_000, pause });
  expect(await space.measure()).toEqual({ usedBytes: 0, capacityBytes: 5_000 });
  for (let n = 0; n < 120; n++) {
    const id = `upload ${n}`;
    await index.beginUpload({ id, repository, owner: null, startedAtMs: 0, terms });
    // Every other one has no bytes yet.
    if (n % 2 === 0) await storage.putFile(uploadDataPath(repository, id), new Uint8Array(10));
  }
  const digest = digestOf(new Uint8Array());
  await index.finishUpload({ id: "upload 0", repository, digest, sizeBytes: 1_000, terms });
  expect((await space.measure()).usedBytes).toBe(1_000 + 59 * 10);
  expect(pauses).toBe(2);
  await index.close();
});
