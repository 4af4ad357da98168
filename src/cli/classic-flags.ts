// Flags as the classic command takes them: `--delete-untagged=true`, `-m=true`, `-dm=false`. Scripts and
// articles write them so; commander knows a flag without a value only. Pure.

/** What Go's strconv.ParseBool understands. */
const truths: ReadonlyMap<string, boolean> = new Map([
  ...["1", "t", "T", "true", "TRUE", "True"].map((text) => [text, true] as const),
  ...["0", "f", "F", "false", "FALSE", "False"].map((text) => [text, false] as const),
]);

/** A flag that takes no value. */
export interface Switch {
  /** `--dry-run` */
  readonly long?: string | undefined;
  /** `-d` */
  readonly short?: string | undefined;
}

/**
 * The arguments without the values of switches: what is true stays as a plain flag, what is false goes.
 * Anything else (other flags, values that are neither) is left for the parser to refuse.
 */
export function withPlainSwitches(
  argv: readonly string[],
  switches: readonly Switch[],
): readonly string[] {
  const end = argv.indexOf("--");
  const options = end === -1 ? argv : argv.slice(0, end);
  const rest = end === -1 ? [] : argv.slice(end);
  return [...options.flatMap((argument) => plain(argument, switches)), ...rest];
}

function plain(argument: string, switches: readonly Switch[]): readonly string[] {
  const match = /^(--[a-z][a-z-]*|-[a-z]+)=(.*)$/.exec(argument);
  const [, flag = "", text = ""] = match ?? [];
  const value = truths.get(text);
  if (match === null || value === undefined) return [argument];
  if (flag.startsWith("--")) {
    if (!switches.some(({ long }) => long === flag)) return [argument];
    return value ? [flag] : [];
  }
  // Of several letters the value belongs to the last.
  const last = flag.slice(-1);
  if (!switches.some(({ short }) => short === `-${last}`)) return [argument];
  const before = flag.slice(0, -1);
  if (value) return [flag];
  return before === "-" ? [] : [before];
}
