// Puts the watch over the storage's load together, and what makes room.
import type { Config } from "../config/index.ts";
import { uploadAgeMs } from "./config-mapping.ts";
import { type Collector, pauseFor, systemTimers } from "../gc/index.ts";
import { type ApplyRetention, DiskWatch, Relief, StoredBytes } from "../pressure/index.ts";
import { type Clock, systemClock } from "../registry/ports/clock.ts";
import type { DiskSpace } from "../registry/ports/disk-space.ts";
import type { Index } from "../registry/ports/index.ts";
import type { Storage } from "../registry/ports/storage.ts";
import { FileSystemSpace } from "../storage/filesystem/file-system-space.ts";
import type { Agreement } from "../takeover/agreement.ts";

interface Log {
  readonly info: (message: string) => void;
  readonly warn: (message: string) => void;
}

/** Null: nothing is watched. */
export function diskWatchOf(
  config: Config,
  root: {
    readonly index: Index;
    readonly storage: Storage;
    /** Null: storage in memory. */
    readonly rootDirectory: string | null;
    readonly clock: Clock;
  },
  log: Log,
): DiskWatch | null {
  const { loadLine } = config.storage;
  const space = loadLine === null ? null : spaceOf(loadLine.sizeBytesMax, root);
  if (loadLine === null || space === null) return null;
  return new DiskWatch({
    space,
    // Asked for again each time: they can change while it watches.
    get marks() {
      const { watermark } = config.storage.loadLine ?? loadLine;
      const { warnPercent, collectPercent, refusePercent } = watermark;
      return { warn: warnPercent, collect: collectPercent, refuse: refusePercent };
    },
    clock: root.clock,
    timers: systemTimers,
    log,
  });
}

function spaceOf(
  sizeBytesMax: number | null,
  root: {
    readonly index: Index;
    readonly storage: Storage;
    readonly rootDirectory: string | null;
  },
): DiskSpace | null {
  const { index, storage, rootDirectory } = root;
  if (sizeBytesMax !== null) {
    return new StoredBytes({ index, storage, capacityBytes: sizeBytesMax, pause: pauseFor });
  }
  return rootDirectory === null ? null : new FileSystemSpace(rootDirectory);
}

interface PressureRoot {
  readonly collector: Collector;
  readonly index: Index;
  readonly agreement: Agreement;
  /** Null: how full the storage gets is not watched. */
  readonly watch: DiskWatch | null;
}

/** The watch over a served root, with what makes room for it. */
export function pressureOn(
  root: PressureRoot,
  config: Config,
  parts: { readonly log: Log; readonly applyRetention: () => ApplyRetention | null },
): { start(): Promise<void>; stop(): Promise<void> } {
  const { watch } = root;
  const relief = watch === null ? null : reliefOf({ ...root, watch }, config, parts);
  return {
    start: async () => {
      await watch?.start(relief);
    },
    stop: async () => {
      await watch?.stop();
      await relief?.stop();
    },
  };
}

/** Null: in read-only mode nothing is removed. */
function reliefOf(
  root: PressureRoot & { readonly watch: DiskWatch },
  config: Config,
  parts: { readonly log: Log; readonly applyRetention: () => ApplyRetention | null },
): Relief | null {
  if (config.storage.maintenance.readOnly.enabled) return null;
  const { collector, index, agreement, watch } = root;
  return new Relief({
    collector,
    index,
    watch,
    log: parts.log,
    get applyRetention() {
      return parts.applyRetention();
    },
    agreed: (signal) => agreement.wait(signal),
    clock: systemClock,
    get options() {
      const { gc } = config;
      return {
        keepDeletedMs: gc.keepDeletedMs,
        untagged: gc.untagged,
        foreignGraceMs: gc.graceMs,
        uploadAgeMs: uploadAgeMs(config),
      };
    },
  });
}
