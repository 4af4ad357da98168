// Whether the process runs out of descriptors. The runtime accepts connections until there are none left, and
// then neither a file nor the index can be opened: so requests are refused, and their connections closed,
// while there are some left for what is under way.
import { closeSync, openSync, readFileSync } from "node:fs";

/** Between two looks, each of which is two calls of the system; */
const lookEveryMs = 50;
/** but as many requests as this part of what is left, or of the reserve, may all be new connections. */
const lookEveryShare = 4;
/** For files of uploads and downloads under way, the index, the log. */
const reserveMax = 256;

export interface DescriptorParts {
  /** How many there are; null: not known, and never scarce. */
  readonly limit: number | null;
  /** The lowest one that is free. @throws when there is none */
  readonly lowestFree: () => number;
  readonly now: () => number;
}

export class Descriptors {
  readonly #parts: DescriptorParts;
  #lookAgainAtMs = Number.NEGATIVE_INFINITY;
  #asked = 0;
  /** Before they are scarce, at the last look. */
  #left = 0;

  constructor(parts: DescriptorParts = systemParts()) {
    this.#parts = parts;
  }

  /** Asked once a request. */
  isScarce(): boolean {
    const { limit, now } = this.#parts;
    if (limit === null) return false;
    const reserve = Math.min(reserveMax, Math.floor(limit / 4));
    const nowMs = now();
    this.#asked += 1;
    const isMany = this.#asked * lookEveryShare >= Math.max(reserve, this.#left);
    if (isMany || nowMs >= this.#lookAgainAtMs) {
      this.#lookAgainAtMs = nowMs + lookEveryMs;
      this.#asked = 0;
      this.#left = this.#look(limit) - reserve;
    }
    return this.#left <= 0;
  }

  /** How many are free. The system gives out the lowest: where that is high, all below are taken. */
  #look(limit: number): number {
    try {
      return limit - this.#parts.lowestFree();
    } catch {
      // There is none, which is why this is asked.
      return 0;
    }
  }
}

function systemParts(): DescriptorParts {
  return { limit: systemLimit(), lowestFree, now: () => performance.now() };
}

function lowestFree(): number {
  const descriptor = openSync("/dev/null", "r");
  closeSync(descriptor);
  return descriptor;
}

/** Null where the system does not say it in Linux's way. */
function systemLimit(): number | null {
  try {
    const text = readFileSync("/proc/self/limits", "latin1");
    const [, soft] = /^Max open files\s+(\d+)/m.exec(text) ?? [];
    return soft === undefined ? null : Number(soft);
  } catch {
    // Another system; there the refusal is the runtime's.
    return null;
  }
}
