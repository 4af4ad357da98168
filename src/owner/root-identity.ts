// Root and index carry the same random id, so that an index beside the wrong root, or a root whose file
// system is not mounted, is refused instead of believed (INV-8).
import { rootIdPath } from "../storage/layout.ts";
import type { Index } from "../registry/ports/index.ts";
import type { Storage } from "../registry/ports/storage.ts";

/** An id is a UUID; anything longer is not ours. */
const idBytesMax = 128;

class RootMismatchError extends Error {
  constructor(message: string) {
    super(
      `${message}; if the tree was moved or restored and is the right one, run "registry reindex"`,
    );
    this.name = "RootMismatchError";
  }
}

/** @throws RootMismatchError */
export async function checkRootIdentity(index: Index, storage: Storage): Promise<void> {
  const ofIndex = await index.rootId();
  const ofRoot = await readRootId(storage);
  if (ofIndex === null) {
    await adoptRoot(index, storage);
    return;
  }
  if (ofIndex === ofRoot) return;
  const { blobs } = await index.totals();
  if (ofRoot === null && blobs === 0) {
    await adoptRoot(index, storage);
    return;
  }
  throw new RootMismatchError(
    ofRoot === null
      ? `the index knows ${blobs} blobs, but the root does not say that it is theirs (${rootIdPath.slice(1)} is missing): is its file system mounted?`
      : `the index belongs to another root (${ofIndex}) than this one (${ofRoot})`,
  );
}

/** Gives index and root the same id: the root's, if it has one. */
export async function adoptRoot(index: Index, storage: Storage): Promise<void> {
  const id = (await readRootId(storage)) ?? (await index.rootId()) ?? crypto.randomUUID();
  await storage.putFile(rootIdPath, new TextEncoder().encode(id));
  await index.setRootId(id);
}

async function readRootId(storage: Storage): Promise<string | null> {
  const bytes = await storage.readSmall(rootIdPath, idBytesMax);
  const id = bytes === null ? "" : new TextDecoder().decode(bytes).trim();
  return id === "" ? null : id;
}
