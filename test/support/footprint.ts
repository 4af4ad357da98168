// What a process holds: memory and descriptors, as the kernel counts them.
import { readdir, readFile, readlink } from "node:fs/promises";

export interface Footprint {
  readonly residentMiB: number;
  readonly descriptors: number;
  readonly sockets: number;
}

export async function footprintOf(pid: number): Promise<Footprint> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
  const names = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(
    // One that is closed meanwhile is not open.
    names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => null)),
  );
  const there = links.filter((link) => link !== null);
  const sockets = there.filter((link) => link.startsWith("socket:")).length;
  return { residentMiB: Math.round(kib / 1024), descriptors: there.length, sockets };
}

/** Asks again until it is so, or the time is over; the last footprint. */
export async function settled(
  pid: number,
  isSo: (footprint: Footprint) => boolean,
  msMax: number,
): Promise<Footprint> {
  const until = performance.now() + msMax;
  for (;;) {
    const footprint = await footprintOf(pid);
    if (isSo(footprint) || performance.now() > until) return footprint;
    await Bun.sleep(250);
  }
}
