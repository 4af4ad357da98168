// Durations as the classic writes them ("168h", "1h30m", "1.5s", "0"), in milliseconds.
// Source: Go's time.ParseDuration. Negative durations are refused: no key has a use for one.

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5, micro sign
  μs: 1e-3, // U+03BC, Greek mu
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Go keeps durations in 64-bit nanoseconds; about 292 years. */
const durationMsMax = 2 ** 63 / 1e6;

const durationPattern = /^\+?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;

/**
 * Milliseconds, or null when the text is not a duration. Rounded up to a whole millisecond, so that
 * what is more than nothing never becomes 0 (which means "off" for some keys).
 */
export function parseGoDuration(text: string): number | null {
  if (/^\+?0$/.test(text)) return 0;
  if (!durationPattern.test(text)) return null;
  let ms = 0;
  for (const [, number, unit] of text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    ms += Number(number) * (unitMs[unit ?? ""] ?? Number.NaN);
  }
  if (!(ms <= durationMsMax)) return null;
  const whole = Math.round(ms);
  return Math.abs(ms - whole) < 1e-6 && (whole > 0 || ms === 0) ? whole : Math.ceil(ms);
}

/** The shortest usual form: 90000 → "1m30s", 604800000 → "168h", 1500 → "1.5s". */
export function formatGoDuration(durationMs: number): string {
  if (durationMs === 0) return "0s";
  if (durationMs < 1_000) return `${durationMs}ms`;
  const hours = Math.floor(durationMs / 3_600_000);
  const minutes = Math.floor((durationMs % 3_600_000) / 60_000);
  const seconds = (durationMs % 60_000) / 1_000;
  const parts = [
    hours > 0 ? `${hours}h` : "",
    minutes > 0 ? `${minutes}m` : "",
    seconds > 0 ? `${seconds}s` : "",
  ];
  return parts.join("");
}
