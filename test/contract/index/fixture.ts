// What an index driver has to bring for the contract: an index, and the tree that its writer looks at.
// A driver is added by one entry in test/contract/index.test.ts; the suite knows the port alone.
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createMemoryIndex, openIndex } from "../../../src/index/sqlite-index.ts";
import type { Digest } from "../../../src/oci/index.ts";
import type { Index, TreePlace, TreeProbe } from "../../../src/registry/ports/index.ts";
import { blobDataPath, treePlacePath } from "../../../src/storage/layout.ts";

/** The tree beside an index, as the tests bend it. Null: not there. */
export interface TreeFixture {
  setLink(place: TreePlace, content: string | null): void;
  setBlob(digest: Digest, sizeBytes: number | null): void;
}

export interface IndexFixture {
  readonly index: Index;
  readonly tree: TreeFixture;
  close(): Promise<void>;
}

export interface IndexDriver {
  readonly name: string;
  /** How often a property is tried; each try opens a new index. */
  readonly runs: number;
  open(): Promise<IndexFixture>;
}

class MemoryTree implements TreeFixture, TreeProbe {
  readonly #links = new Map<string, string>();
  readonly #blobs = new Map<Digest, number>();

  setLink(place: TreePlace, content: string | null): void {
    if (content === null) this.#links.delete(treePlacePath(place));
    else this.#links.set(treePlacePath(place), content);
  }
  setBlob(digest: Digest, sizeBytes: number | null): void {
    if (sizeBytes === null) this.#blobs.delete(digest);
    else this.#blobs.set(digest, sizeBytes);
  }
  link(place: TreePlace): string | null {
    return this.#links.get(treePlacePath(place)) ?? null;
  }
  blobSizeBytes(digest: Digest): number | null {
    return this.#blobs.get(digest) ?? null;
  }
}

class FileTree implements TreeFixture {
  constructor(readonly root: string) {}

  setLink(place: TreePlace, content: string | null): void {
    this.#set(treePlacePath(place), content);
  }
  setBlob(digest: Digest, sizeBytes: number | null): void {
    this.#set(blobDataPath(digest), sizeBytes === null ? null : "");
    if (sizeBytes !== null) truncateSync(join(this.root, blobDataPath(digest)), sizeBytes);
  }
  #set(path: string, content: string | null): void {
    const file = join(this.root, path);
    if (content === null) {
      rmSync(file, { force: true });
    } else {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    }
  }
}

export const memoryDriver: IndexDriver = {
  name: "in memory",
  runs: 60,
  open: () => {
    const tree = new MemoryTree();
    const index = createMemoryIndex(tree);
    return Promise.resolve({ index, tree, close: () => index.close() });
  },
};

export const fileDriver: IndexDriver = {
  name: "on disk, written by a worker",
  runs: 6,
  open: async () => {
    const root = mkdtempSync(join(tmpdir(), "plimsoll-index-"));
    const index = await openIndex(join(root, "plimsoll", "index.db"), root);
    const close = async (): Promise<void> => {
      await index.close();
      rmSync(root, { recursive: true });
    };
    return { index, tree: new FileTree(root), close };
  },
};
