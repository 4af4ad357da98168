// Durations of our own sections: Go's, and days before them ("30d", "1d12h"). A day is 24 hours.
import { formatGoDuration, parseGoDuration } from "./go-duration.ts";

const dayMs = 24 * 3_600_000;

/** Milliseconds, or null when the text is not a duration. */
export function parseLongDuration(text: string): number | null {
  const [, days, rest = ""] = /^(\d{1,6})d(.*)$/.exec(text) ?? [];
  if (days === undefined) return parseGoDuration(text);
  const restMs = rest === "" ? 0 : parseGoDuration(rest);
  return restMs === null ? null : Number(days) * dayMs + restMs;
}

/** The shortest usual form: whole days as days. */
export function formatLongDuration(durationMs: number): string {
  return durationMs > 0 && durationMs % dayMs === 0
    ? `${durationMs / dayMs}d`
    : formatGoDuration(durationMs);
}
