// A small disk of its own for a test: a tmpfs, which only root may mount. Fills it to the last byte.
import { closeSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";

const pageBytes = 4096;

export interface SmallDisk {
  readonly freeBytes: number;
  /** Leaves not one free page, whatever was free before; or so many bytes. */
  fill(leaveBytes?: number): void;
  /** Takes away what `fill` has written. */
  empty(): void;
  unmount(): void;
}

/** Null: this user may not mount. `directory` has to be there. */
export function mountSmallDisk(directory: string, kib: number): SmallDisk | null {
  const options = { stdout: "ignore", stderr: "ignore" } as const;
  if (Bun.which("mount") === null) return null;
  const mount = ["mount", "-t", "tmpfs", "-o", `size=${kib}k`, "plimsoll-test", directory];
  if (Bun.spawnSync(mount, options).exitCode !== 0) return null;
  const filler = join(directory, "filler");
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  };
  return {
    get freeBytes(): number {
      return freeBytes();
    },
    fill: (leaveBytes = 0) => {
      const fd = openSync(filler, "a");
      try {
        if (leaveBytes > 0) {
          writeSync(fd, new Uint8Array(freeBytes() - leaveBytes));
          return;
        }
        // Others write meanwhile: until there is nothing left for anybody.
        for (;;) writeSync(fd, new Uint8Array(Math.max(pageBytes, freeBytes())));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(fd);
      }
      if (freeBytes() > 0) throw new Error(`${freeBytes()} bytes are still free`);
    },
    empty: () => {
      rmSync(filler, { force: true });
    },
    unmount: () => {
      // A server of a test that failed may still use it: it is let go of when that ends.
      const { exitCode } = Bun.spawnSync(["umount", "-l", directory], options);
      if (exitCode !== 0) throw new Error(`${directory} could not be unmounted`);
    },
  };
}
