// What the walk says of things that it could not use: TreeProblem values, in words for the operator.
// Decides nothing; who reads the list (the collector, for one) knows which kinds stop what (INV-7).
import type { RepositoryName } from "../oci/index.ts";
import type { TreeProblem } from "../registry/ports/index.ts";
import type { ProblemItem } from "./items.ts";
import { systemCode, type TreeReader } from "./tree-reader.ts";

export interface Concerned {
  readonly repository?: RepositoryName;
  readonly name?: string;
}

export function problemItem(
  kind: TreeProblem["kind"],
  path: string,
  about: Concerned & { readonly detail: string },
): ProblemItem {
  const { repository = null, name = null, detail } = about;
  return {
    kind: "problem",
    problem: { kind, repository, name, path: printable(path), detail: printable(detail) },
  };
}

/** A directory, or what may be one, that could not be looked at. */
export function unlistable(path: string, error: unknown, concerned: Concerned = {}): ProblemItem {
  return problemItem("unlistable-directory", path, { ...concerned, detail: reasonOf(error) });
}

export function reasonOf(error: unknown): string {
  const code = systemCode(error);
  const message = error instanceof Error ? error.message : String(error);
  return code === "" || message.includes(code) ? message : `${code}: ${message}`;
}

/** Without what would bend a line of a log or of a terminal. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) =>
    character < "\u0100"
      ? `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`
      : `\\u${character.charCodeAt(0).toString(16)}`,
  );
}

/** Kinds that stop a part of the collection: none of them may ever be left out of the list. */
export function isProtecting(problem: TreeProblem): boolean {
  return problem.kind === "unlistable-directory" || problem.kind === "unreadable-tag";
}

/** What the walk of a tree goes by. */
export interface WalkOptions {
  readonly reader: TreeReader;
  readonly nowMs: number;
  /**
   * While others write to the tree: what is odd but was changed after this may be under way, and is not
   * reported. Null: nobody writes.
   */
  readonly settledBeforeMs: number | null;
  /** Also lists the directory of each single layer link and blob, for leftover files. */
  readonly thorough: boolean;
}

/** Whether an odd file or directory may be somebody's write under way. */
export function isUnderWay(options: WalkOptions, path: string): boolean {
  if (options.settledBeforeMs === null) return false;
  try {
    const stat = options.reader.stat(path);
    return stat === null || stat.modifiedMs > options.settledBeforeMs;
  } catch {
    // What cannot be looked at is no file that somebody is just writing.
    return false;
  }
}

/** In the reader's text for a name that is not UTF-8. */
const escapeMark = String.raw`\x`;

/** Reports the names in a directory that nothing of ours has. */
export function* strayNames(
  options: WalkOptions,
  directory: string,
  stray: Concerned & { readonly names: Iterable<string> },
): Generator<ProblemItem> {
  const { repository, names } = stray;
  const concerned = repository === undefined ? {} : { repository };
  for (const name of names) {
    const path = `${directory}/${name}`;
    // One that is not UTF-8 cannot be looked at by this path, and no registry is writing it.
    if (!name.includes(escapeMark) && isUnderWay(options, path)) continue;
    yield name.endsWith(".tmp")
      ? problemItem("leftover-file", path, {
          ...concerned,
          detail: "left by a write that was cut off",
        })
      : problemItem("unknown-name", path, { ...concerned, detail: "has no place here" });
  }
}
