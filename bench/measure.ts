// What the benches measure with: medians, percentiles, and what the kernel says about a process.
// A process's CPU seconds include all of its threads, and those that ended.
import { readFileSync } from "node:fs";

/** CLK_TCK: on Linux the unit of /proc/<pid>/stat is the same on every architecture that we run on. */
const ticksPerSecond = 100;

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentile(values: readonly number[], percent: number): number {
  if (values.length === 0) throw new Error("no values to take a percentile of");
  const sorted = values.toSorted((a, b) => a - b);
  const position = ((sorted.length - 1) * percent) / 100;
  const below = sorted[Math.floor(position)] ?? 0;
  const above = sorted[Math.ceil(position)] ?? 0;
  return below + (above - below) * (position - Math.floor(position));
}

export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name is in parentheses and may hold anything; utime and stime are the 14th and 15th field.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Resident memory in MiB, now or at its highest. */
export function memoryMibOf(pid: number, which: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const match = new RegExp(`^${which}:\\s+(\\d+) kB$`, "m").exec(status);
  if (match === null) throw new Error(`no ${which} in /proc/${pid}/status`);
  return Number(match[1]) / 1024;
}

export interface Cost {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
}

/** What some work costs: the wall clock's time, and the CPU seconds of the server that does it. */
export async function costOf(serverPid: number, work: () => Promise<unknown>): Promise<Cost> {
  const cpuBefore = cpuSecondsOf(serverPid);
  const startedAt = performance.now();
  await work();
  const wallSeconds = (performance.now() - startedAt) / 1000;
  return { wallSeconds, cpuSeconds: cpuSecondsOf(serverPid) - cpuBefore };
}

/** Runs a command whose output nobody reads. Throws unless it exits with 0. */
export async function secondsOfCommand(argv: readonly string[]): Promise<number> {
  const startedAt = performance.now();
  const child = Bun.spawn([...argv], { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  const exitCode = await child.exited;
  const seconds = (performance.now() - startedAt) / 1000;
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} exited with ${exitCode}`);
  return seconds;
}
