// The HTTP suite over the real domain, with the index and the bytes in memory.
import { describe } from "bun:test";
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import type { Digest } from "../../src/oci/index.ts";
import { createRegistry } from "../../src/registry/create-registry.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import { systemClock } from "../../src/registry/ports/clock.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { httpSuite } from "./suite/index.ts";

async function createRealRegistry(): Promise<Registry> {
  const index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
  await index.markComplete();
  return createRegistry({
    index,
    storage: new MemoryStorage(),
    locks: new KeyedLocks<Digest>(),
    clock: systemClock,
    reports: { info: () => undefined, error: (_message, error) => console.error(error) },
    followTree: () => undefined,
    treeLookup: () => null,
    options: {
      graceMs: 3_600_000,
      readOnly: false,
      validation: { urlsAllow: null, urlsDeny: [], indexChildren: "all" },
    },
  });
}

describe("HTTP, the real registry in memory", () => {
  httpSuite(createRealRegistry);
});
