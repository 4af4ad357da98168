// Which requests count as pulls.
import { expect, test } from "bun:test";
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import type { Digest, RepositoryName } from "../../src/oci/index.ts";
import { createRegistry } from "../../src/registry/create-registry.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import { systemClock } from "../../src/registry/ports/clock.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { type Harness, startHarness } from "./harness.ts";

async function start(): Promise<{ harness: Harness; pulls: string[] }> {
  const pulls: string[] = [];
  const index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
  await index.markComplete();
  const registry = createRegistry({
    index,
    storage: new MemoryStorage(),
    locks: new KeyedLocks<Digest>(),
    clock: systemClock,
    reports: { info: () => undefined, error: () => undefined },
    followTree: () => undefined,
    treeLookup: () => null,
    pulls: {
      note: (repository: RepositoryName, digest: Digest) => {
        pulls.push(`${repository}@${digest}`);
      },
    },
    options: {
      graceMs: 3_600_000,
      readOnly: false,
      validation: { urlsAllow: null, urlsDeny: [], indexChildren: "all" },
    },
  });
  return { harness: await startHarness(() => registry), pulls };
}

test("a GET by tag or digest and a HEAD by tag are pulls; pushing and asking by digest are not", async () => {
  const { harness, pulls } = await start();
  await using _ = harness;
  await harness.pushImage("app", "v1");
  expect(pulls).toEqual([]);
  const counted = async (path: string, init?: RequestInit): Promise<string[]> => {
    pulls.length = 0;
    await (await harness.ask(path, init)).arrayBuffer();
    return [...pulls];
  };
  const digest = (await harness.ask("/v2/app/manifests/v1")).headers.get("docker-content-digest");
  const pulled = [`app@${digest}`];
  expect(await counted("/v2/app/manifests/v1")).toEqual(pulled);
  expect(await counted(`/v2/app/manifests/${digest}`)).toEqual(pulled);
  expect(await counted("/v2/app/manifests/v1", { method: "HEAD" })).toEqual(pulled);
  // It has the image already, and goes on using it.
  const headers = { "if-none-match": `"${digest}"` };
  expect(await counted("/v2/app/manifests/v1", { headers })).toEqual(pulled);
  expect(await counted(`/v2/app/manifests/${digest}`, { method: "HEAD" })).toEqual([]);
  expect(await counted("/v2/app/manifests/none")).toEqual([]);
  expect(await counted("/v2/app/tags/list")).toEqual([]);
  expect(await counted(`/v2/app/referrers/${digest}`)).toEqual([]);
  expect(await counted("/v2/app/manifests/v1", { method: "DELETE" })).toEqual([]);
});
