// Whether JSON nests so deep that reading it would be work: four MiB of brackets take the parser half a
// second, and a hundred times their size. Looks at bytes only; what is no JSON is the parser's to tell.

/** Read as it is: nothing of that size is dear. */
const unlookedBytes = 32 * 1024;
/** Far beyond what a manifest may have, in annotations too, and far below what is dear. */
const levelsMax = 1_000;

const quote = 0x22;
const backslash = 0x5c;

export function nestsTooDeepToParse(json: Uint8Array): boolean {
  if (json.byteLength <= unlookedBytes) return false;
  let levels = 0;
  let isWithinText = false;
  for (let at = 0; at < json.byteLength; at++) {
    const byte = json[at];
    if (isWithinText) {
      if (byte === backslash) at++;
      else if (byte === quote) isWithinText = false;
    } else if (byte === quote) {
      isWithinText = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      levels += 1;
      if (levels > levelsMax) return true;
    } else if (byte === 0x5d || byte === 0x7d) {
      levels -= 1;
    }
  }
  return false;
}
