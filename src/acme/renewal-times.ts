// When a certificate is renewed, and when a failed attempt is repeated. Pure: time and chance come in.

/** CAs ask for it: a third of the life is time enough for whatever is wrong to be noticed and mended. */
const lifePartLeft = 1 / 3;
/** So much earlier, at most: certificates that were made together are not renewed together. */
const lifePartSpread = 1 / 20;

/** Let's Encrypt allows five failed validations an hour for a host; this is four in the first hour. */
const retryMsMin = 5 * 60_000;
const retryMsMax = 4 * 3_600_000;
/** So much later, at most: when a CA is back, not everybody asks at once. */
const retrySpread = 1 / 4;

/** @param chance from 0 to 1, without 1. */
export function renewalMs(
  { validFromMs, validToMs }: { readonly validFromMs: number; readonly validToMs: number },
  chance: number,
): number {
  const lifeMs = validToMs - validFromMs;
  return validToMs - lifeMs * (lifePartLeft + lifePartSpread * chance);
}

/** @param failures in a row, at least 1. @param chance as above. */
export function retryMs(failures: number, chance: number): number {
  const doubled = retryMsMin * 2 ** Math.min(failures - 1, 20);
  return Math.min(doubled, retryMsMax) * (1 + retrySpread * chance);
}
