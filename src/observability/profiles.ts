// A CPU profile and a heap snapshot of the running process, in the formats that the developer tools of a
// browser open. One at a time, of bounded length, with a rest after each: a profile slows everything
// down a little, and a snapshot holds the event loop up while it is made.

import { sleep } from "../registry/ports/clock.ts";

/** A minute tells what an hour would. */
const profileSecondsMax = 60;
/** Between the end of one and the start of the next. */
const restMs = 10_000;

/** Another one is being made, or has just been. */
class ProfileBusyError extends Error {
  constructor(readonly retryAfterSeconds: number) {
    super("a profile is being made, or has just been: one at a time, with a rest between two");
    this.name = "ProfileBusyError";
  }
}

export class Profiles {
  readonly secondsMax = profileSecondsMax;
  readonly #now: () => number;
  #isBusy = false;
  #restsUntilMs = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * A `.cpuprofile`. @param signal ends it early: with what there is then.
   * @throws ProfileBusyError
   */
  cpu(seconds: number, signal: AbortSignal): Promise<string> {
    return this.#alone(() => cpuProfile(Math.min(seconds, profileSecondsMax) * 1000, signal));
  }

  /** A `.heapsnapshot`. It holds the texts that are in memory, secrets too. @throws ProfileBusyError */
  heap(): Promise<string> {
    return this.#alone(() => Promise.resolve(Bun.generateHeapSnapshot("v8")));
  }

  async #alone(make: () => Promise<string>): Promise<string> {
    const leftMs = this.#restsUntilMs - this.#now();
    if (this.#isBusy || leftMs > 0) {
      throw new ProfileBusyError(Math.max(1, Math.ceil(leftMs / 1000)));
    }
    this.#isBusy = true;
    try {
      return await make();
    } finally {
      this.#isBusy = false;
      this.#restsUntilMs = this.#now() + restMs;
    }
  }
}

async function cpuProfile(ms: number, signal: AbortSignal): Promise<string> {
  // Loaded only now: nobody else needs it.
  const { Session } = await import("node:inspector/promises");
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    await sleep(ms, signal);
    const { profile } = await session.post("Profiler.stop");
    return JSON.stringify(profile);
  } finally {
    session.disconnect();
  }
}
