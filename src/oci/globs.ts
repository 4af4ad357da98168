// Lists of globs, as configuration and commands take them for repositories and tags: `*` is any text
// without a slash, `**` between slashes any parts, `?` one character, `{a,b}` either; one that begins with `!`
// excludes. What would silently match less than it says is refused: a rule that matches nothing protects nothing.

/** Longer ones serve nobody, and names are no longer than 255 characters. */
const globLengthMax = 512;

export interface NameGlobs {
  /** As they were written. */
  readonly patterns: readonly string[];
  /** Whether some pattern matches the name and none excludes it; only exclusions: everything else matches. */
  matches(name: string): boolean;
}

/** @throws GlobError naming the pattern. */
export function parseGlobs(patterns: readonly string[]): NameGlobs {
  const wanted: Bun.Glob[] = [];
  const excluded: Bun.Glob[] = [];
  for (const pattern of patterns) {
    const isExclusion = pattern.startsWith("!");
    const plain = checked(isExclusion ? pattern.slice(1) : pattern, pattern);
    const glob = new Bun.Glob(withoutSlashes(plain));
    (isExclusion ? excluded : wanted).push(glob);
  }
  const isAll = wanted.length === 0 && excluded.length > 0;
  return {
    patterns,
    matches: (name) =>
      (isAll || wanted.some((glob) => glob.match(name))) &&
      !excluded.some((glob) => glob.match(name)),
  };
}

function checked(glob: string, pattern: string): string {
  const isPlain = /^[\w.\-/*?{},[\]^]+$/.test(glob);
  if (!isPlain || glob.length > globLengthMax || !isBalanced(glob) || hasSlashClass(glob))
    throw new GlobError(pattern);
  // Elsewhere Bun.Glob takes it for a single star.
  const around = glob
    .split(/\*\*+/)
    .map((text) => [text.at(0) ?? "/", text.at(-1) ?? "/"] as const);
  const isWhole = around.every(([first, last], n) => {
    const endsWell = n === around.length - 1 || "/{,".includes(last);
    return endsWell && (n === 0 || "/},".includes(first));
  });
  if (!isWhole || glob.includes("***")) throw new GlobError(pattern);
  return glob;
}

/** Only "**" goes over a slash; "[^…]" would, too. A hyphen at an end stands for itself, and must stay there. */
function withoutSlashes(glob: string): string {
  return glob.replaceAll(/\[\^(-?)([^\]]*)/g, (_all, hyphen: string, letters: string) =>
    hyphen === "" ? `[^/${letters}` : `[^-${letters.replace(/-$/, "")}/`,
  );
}

/** Names a slash between brackets, by itself or by a range over it: a class is one letter of a part. */
function hasSlashClass(glob: string): boolean {
  return [...glob.matchAll(/\[\^?([^\]]*)\]/g)].some(([, letters = ""]) => {
    const ranges = letters.matchAll(/([^-])-([^-])/g);
    return (
      letters === "" ||
      letters.includes("/") ||
      [...ranges].some(([, from = "", to = ""]) => from < "/" && to > "/")
    );
  });
}

/** Every bracket and brace is closed, and none is closed that is not open. */
function isBalanced(glob: string): boolean {
  let depth = 0;
  for (const character of glob.replaceAll(/\[[^\]]+\]/g, "")) {
    if (character === "[" || character === "]") return false;
    if (character === "{") depth += 1;
    if (character === "}") depth -= 1;
    if (depth < 0) return false;
  }
  return depth === 0;
}

export class GlobError extends Error {
  constructor(pattern: string) {
    super(
      `"${pattern.slice(0, 80)}" is no glob for names: letters, digits, . _ - / and *, ?, [..], {a,b}, ** between slashes (ci/**), with a leading ! to exclude`,
    );
    this.name = "GlobError";
  }
}
