// The real domain for the HTTP tests, with the index and the bytes in memory.
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import type { Digest } from "../../src/oci/index.ts";
import { createRegistry } from "../../src/registry/create-registry.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import { systemClock } from "../../src/registry/ports/clock.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { ManifestValidation, ServiceParts } from "../../src/registry/services.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";

const everything: ManifestValidation = { urlsAllow: null, urlsDeny: [], indexChildren: "all" };

export async function createRealRegistry(
  validation = everything,
  guards: Pick<ServiceParts, "bounds" | "content" | "loadLine"> = {},
): Promise<Registry> {
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
    ...guards,
    options: { graceMs: 3_600_000, readOnly: false, validation },
  });
}
