// Timers that tests can move by hand, and the sleep of the loops that run by themselves.
import type { Clock } from "../registry/ports/clock.ts";

/** Sleeps are cut into pieces, so that a clock that was set is noticed. */
const sleepMsMax = 600_000;

/** Rings once. What it returns calls it off. */
export interface Timers {
  set(ms: number, ring: () => void): () => void;
}

/** They do not keep the process alive. */
export const systemTimers: Timers = {
  set: (ms, ring) => {
    const timer = setTimeout(ring, ms);
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};

interface Sleeping {
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Or until it is aborted, or a clock that ran ahead is set right: by it, `atMs` may be years away. */
export async function sleepUntil(
  { clock, timers }: Sleeping,
  atMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (let nowMs = clock.now(); nowMs < atMs;) {
    await sleep(timers, Math.min(atMs - nowMs, sleepMsMax), signal);
    if (signal.aborted || clock.now() < nowMs) return;
    nowMs = clock.now();
  }
}

function sleep(timers: Timers, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const wake = (): void => {
      callOff();
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const callOff = timers.set(ms, wake);
    signal.addEventListener("abort", wake, { once: true });
  });
}
