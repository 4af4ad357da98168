// The server that latency-bench.ts watches, in a process of its own: the registry on a disk whose unlinks
// may be made to wait, with a collector that begins and stops as it is told over IPC.
import { CollectionStop } from "../src/gc/stop-reason.ts";
import { Collector, pauseFor } from "../src/gc/index.ts";
import type { HttpOptions } from "../src/http/index.ts";
import { startServer } from "../src/http/index.ts";
import { openIndex } from "../src/index/sqlite-index.ts";
import type { Digest } from "../src/oci/index.ts";
import { createRegistry } from "../src/registry/create-registry.ts";
import { KeyedLocks } from "../src/registry/keyed-locks.ts";
import { systemClock } from "../src/registry/ports/clock.ts";
import type { Storage } from "../src/registry/ports/storage.ts";
import { StorageHealth } from "../src/registry/storage-health.ts";
import { TreeFollower } from "../src/registry/tree-follower.ts";
import { FilesystemStorage } from "../src/storage/filesystem/filesystem-storage.ts";
import { indexPathOf } from "./fill-index.ts";

const [root = "", unlinkWaitMs = "0", pace = "background"] = process.argv.slice(2);
const clock = systemClock;
const quiet = (): undefined => undefined;
const logger = {
  error: quiet,
  warn: quiet,
  info: quiet,
  debug: quiet,
  enabled: () => false,
  flush: () => Promise.resolve(),
  child: () => logger,
};

/** As a slow disk: each unlink takes this much longer. */
function throttled(storage: FilesystemStorage): Storage {
  const waitMs = Number(unlinkWaitMs);
  if (waitMs === 0) return storage;
  return new Proxy<Storage>(storage, {
    get: (target, name: keyof Storage) => {
      const method = target[name] as (...args: unknown[]) => unknown;
      return async (...args: unknown[]) => {
        if (name === "remove") await Bun.sleep(waitMs);
        return await method.apply(target, args);
      };
    },
  });
}

const files = new FilesystemStorage(root);
const index = await openIndex(indexPathOf(root), root);
const locks = new KeyedLocks<Digest>();
const reports = { info: quiet, error: quiet };
const follower = new TreeFollower({ index, storage: files, reports });
const registry = createRegistry({
  index,
  storage: files,
  locks,
  clock,
  reports,
  followTree: () => {
    follower.wake();
  },
  treeLookup: () => null,
  options: {
    graceMs: 3_600_000,
    readOnly: false,
    validation: { urlsAllow: null, urlsDeny: [], indexChildren: "none" },
  },
});
const options: HttpOptions = {
  listen: { kind: "tcp", hostname: "127.0.0.1", port: 0 },
  prefix: "/",
  host: null,
  relativeUrls: false,
  secret: null,
  headers: {},
  trustedProxies: { unix: false, networks: [] },
  drainTimeoutMs: 1_000,
  bodySilenceMs: 60_000,
  deleteEnabled: true,
  readOnly: false,
  catalogEntriesMax: 1_000,
  tagsMax: 1_000,
};
const health = new StorageHealth(files, { enabled: false, intervalMs: 1_000, threshold: 0 });
const server = await startServer({
  access: null,
  registry,
  options,
  health,
  logger,
  accessLog: { write: quiet },
  clock,
});
const storage = throttled(files);
const collector = new Collector({
  index,
  storage,
  locks,
  clock,
  tree: follower,
  pause: pauseFor,
});

let stop: AbortController | null = null;
let running: Promise<number> = Promise.resolve(0);

async function collect(signal: AbortSignal): Promise<number> {
  const background =
    pace === "background" ? { background: { blobsPerSecondMax: 0, trigger: "bench" } } : {};
  const report = await collector.collect(
    {
      dryRun: false,
      untagged: false,
      full: false,
      foreignGraceMs: 0,
      listing: "nothing",
      ...background,
    },
    quiet,
    signal,
  );
  return report.blobs;
}

process.on("message", (message) => {
  if (message === "collect") {
    stop = new AbortController();
    running = collect(stop.signal);
    process.send?.({ began: true });
  }
  if (message === "stop") {
    stop?.abort(new CollectionStop("given-up"));
    void running.then((blobs) => process.send?.({ blobs }));
  }
});
process.send?.({ address: server.address });
