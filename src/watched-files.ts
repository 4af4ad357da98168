// Whether files that the configuration names have changed since they were last looked at: by what stat
// says of them, at most once a second. A file that is replaced through a symbolic link counts as changed.
import { readFileSync, statSync } from "node:fs";
import type { Clock } from "./registry/ports/clock.ts";

const lookEveryMs = 1_000;

export class WatchedFiles {
  readonly #paths: readonly string[];
  readonly #clock: Clock;
  #state = "never looked at";
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(paths: readonly string[], clock: Clock) {
    this.#paths = paths;
    this.#clock = clock;
  }

  /** True at the first call, and then once for each change that is seen. */
  haveChanged(): boolean {
    const nowMs = this.#clock.now();
    // A clock that was put back must not keep an old file alive.
    if (nowMs >= this.#lookedAtMs && nowMs - this.#lookedAtMs < lookEveryMs) return false;
    this.#lookedAtMs = nowMs;
    const state = this.#paths.map(stateOf).join("\n");
    if (state === this.#state) return false;
    this.#state = state;
    return true;
  }
}

function stateOf(path: string): string {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** @throws Error when it cannot be read, or is larger. */
export function readWatched(path: string, bytesMax: number): string {
  if (statSync(path).size > bytesMax) throw new Error(`larger than ${bytesMax} bytes`);
  return readFileSync(path, "utf8");
}
