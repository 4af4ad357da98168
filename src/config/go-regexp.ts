// Regular expressions as Go's regexp (RE2) writes them, turned into JavaScript's.
// Where the two would silently mean different things, the expression is refused, not guessed at:
// these expressions decide which URLs a manifest may name.

/** @throws SyntaxError saying what is wrong or not supported. */
export function parseGoRegExp(source: string): RegExp {
  const { flags, body } = splitFlags(source);
  return new RegExp(translate(body), flags);
}

/** Go's leading `(?i)` becomes a flag; `s` and `m` mean the same in both. */
function splitFlags(source: string): { readonly flags: string; readonly body: string } {
  const match = /^\(\?([a-zA-Z]+)\)/.exec(source);
  if (match === null) return { flags: "", body: source };
  const flags = match[1] ?? "";
  if (!/^[ims]+$/.test(flags)) throw new SyntaxError(`the flags (?${flags}) are not supported`);
  return { flags: [...new Set(flags)].join(""), body: source.slice(match[0].length) };
}

/** Escapes that mean something else, or nothing, in JavaScript. */
const otherEscapes = new Set(["Q", "E", "C", "a", "p", "P"]);

function translate(body: string): string {
  let result = "";
  for (let at = 0; at < body.length; at++) {
    const character = body[at] ?? "";
    if (character === "\\") {
      at += 1;
      result += translateEscape(body[at] ?? "");
    } else if (body.startsWith("(?P<", at)) {
      result += "(?<";
      at += "(?P<".length - 1;
    } else if (/^\(\?[a-zA-Z-]*[:)]/.test(body.slice(at)) && !body.startsWith("(?:", at)) {
      throw new SyntaxError("flags are supported only at the beginning of an expression");
    } else if (/^\[:\^?[a-z]+:\]/.test(body.slice(at))) {
      throw new SyntaxError("classes like [[:alpha:]] are not supported");
    } else {
      result += character;
    }
  }
  return result;
}

function translateEscape(character: string): string {
  if (character === "A") return "(?<![\\s\\S])";
  if (character === "z") return "(?![\\s\\S])";
  if (otherEscapes.has(character)) throw new SyntaxError(`\\${character} is not supported`);
  return `\\${character}`;
}
