// The hours in which a background collection may work: a daily window by the clock of some zone, on days
// on which that clock is set as well. Pure.

export interface DailyWindow {
  /** Minutes since midnight. An end that is not after the start is on the next day. */
  readonly startMinute: number;
  readonly endMinute: number;
}

export type WindowState =
  | { readonly open: true; readonly closesAtMs: number }
  | { readonly open: false; readonly opensAtMs: number };

/** Days around now whose windows are looked at: one that began yesterday, and the next one to come. */
const daysAround = [-1, 0, 1, 2] as const;

export class WindowClock {
  readonly #window: DailyWindow;
  readonly #format: Intl.DateTimeFormat;

  /** @throws RangeError when there is no such zone. */
  constructor(window: DailyWindow, timeZone: string) {
    this.#window = window;
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  }

  stateAt(nowMs: number): WindowState {
    const { startMinute, endMinute } = this.#window;
    // The wall clock's day, as the midnight of UTC that it would be.
    const today = Math.floor(this.#wallMs(nowMs) / dayMs) * dayMs;
    let opensAtMs = Number.POSITIVE_INFINITY;
    for (const days of daysAround) {
      const day = today + days * dayMs;
      const lastDay = endMinute > startMinute ? day : day + dayMs;
      const startMs = this.#instantOf(day + startMinute * minuteMs);
      const closesAtMs = this.#instantOf(lastDay + endMinute * minuteMs);
      if (startMs <= nowMs && nowMs < closesAtMs) return { open: true, closesAtMs };
      // One that lies in the hour that a clock skips has no length.
      if (startMs > nowMs && closesAtMs > startMs) opensAtMs = Math.min(opensAtMs, startMs);
    }
    return { open: false, opensAtMs };
  }

  /** What the wall clock shows, as the time of UTC that would look the same. */
  #wallMs(atMs: number): number {
    const parts = new Map(this.#format.formatToParts(atMs).map(({ type, value }) => [type, value]));
    const number = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
    return Date.UTC(
      number("year"),
      number("month") - 1,
      number("day"),
      number("hour"),
      number("minute"),
      number("second"),
    );
  }

  /** When the wall clock first shows this or, where it skips it, jumps past it. */
  #instantOf(wallMs: number): number {
    // No zone is further from UTC, and no clock is set twice within these hours.
    const offsets = [wallMs - dayMs, wallMs + dayMs].map((ms) => this.#wallMs(ms) - ms);
    const [before = 0, after = 0] = offsets;
    const candidates = [wallMs - before, wallMs - after].toSorted((a, b) => a - b);
    const exact = candidates.find((ms) => this.#wallMs(ms) === wallMs);
    if (exact !== undefined) return exact;
    return this.#jumpBetween(wallMs - after, wallMs - before, wallMs);
  }

  /** The first moment of (from, to] whose wall clock is past what it skipped. */
  #jumpBetween(from: number, to: number, wallMs: number): number {
    let [low, high] = [Math.min(from, to) - 1, Math.max(from, to)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (this.#wallMs(middle) >= wallMs) high = middle;
      else low = middle;
    }
    return high;
  }
}

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
