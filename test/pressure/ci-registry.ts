// A whole registry in this process, as compose/ puts it together, but by a clock that the test moves: on
// a disk of its own, with a server, collector, retention and the watch over the load.
import { join } from "node:path";
import {
  boundsOf,
  httpOptions,
  scheduleOptions,
  serviceOptions,
} from "../../src/compose/config-mapping.ts";
import { loadConfig } from "../../src/config/index.ts";
import { CollectionSchedule, Collector, pauseFor } from "../../src/gc/index.ts";
import { startServer } from "../../src/http/index.ts";
import { openIndex } from "../../src/index/sqlite-index.ts";
import type { Digest } from "../../src/oci/index.ts";
import { DiskWatch, Relief } from "../../src/pressure/index.ts";
import { createRegistry } from "../../src/registry/create-registry.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import type { Index, RunRecord } from "../../src/registry/ports/index.ts";
import { PullLog } from "../../src/registry/pull-log.ts";
import { TreeFollower } from "../../src/registry/tree-follower.ts";
import { Retention, RetentionSchedule } from "../../src/retention/index.ts";
import { FileSystemSpace } from "../../src/storage/filesystem/file-system-space.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import type { VirtualTime } from "./virtual-time.ts";

export interface CiRegistry {
  /** 127.0.0.1:port */
  readonly host: string;
  readonly index: Index;
  readonly runs: readonly RunRecord[];
  readonly lines: readonly string[];
  /** What the clock has set going has come to its end. */
  settle(): Promise<void>;
  collectNow(): Promise<void>;
  stop(): Promise<void>;
}

/** @param sections of the configuration, beside `version` and `storage` */
export async function startCiRegistry(
  root: string,
  time: VirtualTime,
  yaml: { readonly storage: string; readonly sections: string },
): Promise<CiRegistry> {
  const text = `version: 0.1
storage:
  filesystem: {rootdirectory: ${root}}
  delete: {enabled: true}
${yaml.storage}
http: {addr: "127.0.0.1:0"}
${yaml.sections}`;
  const { config } = loadConfig({ path: "config.yml", env: {}, readFile: () => text });
  const lines: string[] = [];
  const runs: RunRecord[] = [];
  const log = {
    info: (message: string) => void lines.push(`info ${message}`),
    warn: (message: string) => void lines.push(`warn ${message}`),
  };
  const reports = {
    info: log.info,
    error: (message: string, error: unknown) =>
      void lines.push(`error ${message}: ${String(error)}`),
  };
  const index = await openIndex(join(root, "plimsoll", "index.db"), root);
  await index.markComplete();
  const storage = new FilesystemStorage(root);
  const locks = new KeyedLocks<Digest>();
  const clock = time;
  const timers = time;
  const random = (): number => 0.5;
  const agreed = (): Promise<void> => Promise.resolve();
  const follower = new TreeFollower({ index, storage, reports });
  const followTree = (): void => {
    follower.wake();
  };
  const { loadLine } = config.storage;
  if (loadLine === null) throw new Error("no watermark");
  const { warnPercent, collectPercent, refusePercent } = loadLine.watermark;
  const marks = { warn: warnPercent, collect: collectPercent, refuse: refusePercent };
  const watch = new DiskWatch({ space: new FileSystemSpace(root), marks, clock, timers, log });
  const pulls = new PullLog({ index, clock, reports });
  const bounds = boundsOf(config);
  const services = createRegistry({
    index,
    storage,
    locks,
    clock,
    reports,
    followTree,
    treeLookup: () => null,
    bounds,
    loadLine: watch,
    pulls,
    options: serviceOptions(config),
  });
  const collector = new Collector({
    index,
    storage,
    locks,
    clock,
    tree: follower,
    logRun: (record) => void runs.push(record),
    pause: pauseFor,
  });
  const retention = new Retention({
    index,
    clock,
    pause: pauseFor,
    pulls,
    isProtected: (repository, tag) => bounds.immutableRuleOf(repository, tag) !== null,
    immutableIn: (repository) => bounds.immutableIn(repository),
    followTree,
    keepDeletedMs: config.gc.keepDeletedMs,
    refusal: null,
  });
  const options = scheduleOptions(config);
  if (options === null) throw new Error("the server does not collect");
  const schedule = new CollectionSchedule({
    collector,
    index,
    clock,
    timers,
    random,
    agreed,
    log,
    options,
  });
  const rules = config.retention;
  const retentionSchedule = new RetentionSchedule({
    retention,
    index,
    rules,
    clock,
    timers,
    random,
    agreed,
    log,
  });
  const relief = new Relief({
    collector,
    index,
    watch,
    agreed,
    clock,
    log,
    applyRetention: async (isEnough, signal) => {
      await retention.applyUnderPressure(rules, isEnough, signal);
    },
    options,
  });
  const server = await startServer({
    access: null,
    registry: services,
    options: httpOptions(config),
    health: { failing: () => ({}) },
    logger: { ...log, error: log.warn, enabled: () => false },
    accessLog: { write: () => undefined },
    clock,
  });
  schedule.start();
  retentionSchedule.start();
  await watch.start(relief);
  return {
    host: `127.0.0.1:${server.port}`,
    index,
    runs,
    lines,
    settle: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      await relief.settle();
      await collector.settle();
      await pulls.settle();
    },
    collectNow: async () => {
      const wanted = { dryRun: false, untagged: false, full: true, foreignGraceMs: 0 };
      await collector.collect({ ...wanted, listing: "nothing" }, () => undefined);
    },
    stop: async () => {
      await watch.stop();
      await relief.stop();
      await retentionSchedule.stop();
      await schedule.stop();
      await server.stop();
      await collector.stop();
      await pulls.stop();
      await services.uploads.settle();
      await follower.stop();
      await follower.catchUp();
      await index.close();
    },
  };
}
