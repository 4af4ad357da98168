// Quoting as Go's strconv.Quote does it: what a client sends can neither end a line, nor a value,
// nor move the cursor of a terminal. Used by the log and the access log.

/**
 * Printable characters of one byte (durations hold a "µ") without `"` and `\`: nearly everything, so
 * it is asked first.
 */
export const plainLatin = /^[ !#-[\]-~\u00a1-\u00ac\u00ae-\u00ff]*$/;
/** What Go does not call printable, and the two characters that the quotes themselves need escaped. */
const unprintable = /["\\\p{C}[\p{Z}--[ ]]]/gv;

const shortEscapes: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\u0007", "\\a"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\v", "\\v"],
]);

/** The text with everything escaped that could be misread, without the quotes around it. */
export function escapeText(text: string): string {
  return plainLatin.test(text) ? text : text.replace(unprintable, escapeCharacter);
}

export function quoteText(text: string): string {
  return `"${escapeText(text)}"`;
}

function escapeCharacter(character: string): string {
  const short = shortEscapes.get(character);
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  // Half of a surrogate pair: no character at all.
  if (code >= 0xd800 && code <= 0xdfff) return "\ufffd";
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code < 0x1_0000) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}
