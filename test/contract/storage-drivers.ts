// The storage drivers under contract, each made afresh, and what the contract's tests need of them.
// A driver leaves no litter: `dispose` fails on temporary files that it finds.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Storage } from "../../src/registry/ports/storage.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { FaultyStorage } from "../support/faulty-storage.ts";
import { PowerCutStorage } from "../support/power-cut-storage.ts";

export interface DriverUnderTest {
  readonly storage: Storage;
  dispose(): Promise<void>;
}

export interface Driver {
  readonly name: string;
  create(): Promise<DriverUnderTest>;
}

export const drivers: readonly Driver[] = [
  { name: "filesystem", create: createFilesystem },
  {
    name: "memory",
    create: () => {
      const storage = new MemoryStorage();
      return Promise.resolve({ storage, dispose: () => checkNoLitter(storage) });
    },
  },
  {
    name: "memory behind the wrappers of the crash tests",
    create: () => {
      const storage = new FaultyStorage(new PowerCutStorage());
      return Promise.resolve({ storage, dispose: () => checkNoLitter(storage) });
    },
  },
];

async function createFilesystem(): Promise<DriverUnderTest> {
  const root = await mkdtemp(join(tmpdir(), "storage-contract-"));
  const storage = new FilesystemStorage(root);
  return {
    storage,
    dispose: async () => {
      try {
        await checkNoLitter(storage);
      } finally {
        await rm(root, { recursive: true });
      }
    },
  };
}

/** All files below a directory, as paths. */
export async function filesBelow(storage: Storage, directory: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of storage.list(directory)) {
    const path = directory === "/" ? `/${entry.name}` : `${directory}/${entry.name}`;
    if (entry.kind === "directory") found.push(...(await filesBelow(storage, path)));
    else found.push(path);
  }
  return found.sort();
}

export async function checkNoLitter(storage: Storage): Promise<void> {
  const litter = (await filesBelow(storage, "/")).filter((path) => path.endsWith(".tmp"));
  if (litter.length > 0) throw new Error(`left behind: ${litter.join(", ")}`);
}

export async function names(storage: Storage, directory: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of storage.list(directory)) found.push(entry.name);
  return found.sort();
}

/** The text of a small file; null when it is not there. */
export async function textAt(storage: Storage, path: string): Promise<string | null> {
  const bytes = await storage.readSmall(path, 1 << 20);
  return bytes === null ? null : Buffer.from(bytes).toString();
}

export async function upload(storage: Storage, path: string, text: string): Promise<void> {
  const writer = await storage.openUpload(path);
  await writer.append(Buffer.from(text));
  await writer.close();
}

/** The error that a promise fails with. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}

export function textOf(body: Blob | ReadableStream<Uint8Array>): Promise<string> {
  return new Response(body).text();
}
