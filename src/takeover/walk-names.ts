// Finds the repositories of a tree. Names nest; a directory whose name begins with "_" ends the name.
// Symbolic links are followed when everything real has been seen, each real directory is read once, so
// loops end and a repository has its real name (INV-7).
import { isRepositoryName, type RepositoryName } from "../oci/index.ts";
import { repositoriesRoot } from "../storage/layout.ts";
import type { ProblemItem } from "./items.ts";
import { problemItem, strayNames, unlistable, type WalkOptions } from "./problems.ts";
import type { TreeEntry } from "./tree-reader.ts";

export interface FoundRepository {
  readonly kind: "repository";
  /** As in the tree; with `isValid` false no client can ask for it, but what it refers to must stay. */
  readonly name: RepositoryName;
  readonly isValid: boolean;
  /** Its directories that begin with "_". */
  readonly parts: ReadonlySet<string>;
}

export const repositoryParts: ReadonlySet<string> = new Set(["_layers", "_manifests", "_uploads"]);

/** A directory still to be read; its name is its path below `repositories`. */
interface Waiting {
  readonly name: string;
  readonly isSymbolicLink: boolean;
}

export function* findRepositories(options: WalkOptions): Generator<FoundRepository | ProblemItem> {
  const seen = new Set<string>();
  const waiting: Waiting[] = [{ name: "", isSymbolicLink: false }];
  const links: Waiting[] = [];
  for (;;) {
    const next = waiting.pop() ?? links.pop();
    if (next === undefined) return;
    const path = `${repositoriesRoot}${next.name}`;
    try {
      const identity = options.reader.identity(path);
      if (identity !== null && seen.has(identity)) {
        yield secondName(path);
        continue;
      }
      if (identity !== null) seen.add(identity);
      const entries = options.reader.entries(path);
      if (entries !== null) yield* readDirectory(options, next.name, { entries, waiting, links });
    } catch (error) {
      yield unlistable(path, error);
    }
  }
}

function* readDirectory(
  options: WalkOptions,
  name: string,
  found: {
    readonly entries: readonly TreeEntry[];
    readonly waiting: Waiting[];
    readonly links: Waiting[];
  },
): Generator<FoundRepository | ProblemItem> {
  const directory = `${repositoriesRoot}${name}`;
  const parts = new Set<string>();
  const stray: string[] = [];
  for (const entry of found.entries) {
    const isLinkToFile = entry.isSymbolicLink && isFile(options, `${directory}/${entry.name}`);
    if (entry.isDirectory === false || isLinkToFile) stray.push(entry.name);
    else if (!entry.isUtf8) {
      const detail = "its name is not UTF-8, so nothing below can be read; rename it";
      yield problemItem("unlistable-directory", `${directory}/${entry.name}`, { detail });
    } else if (repositoryParts.has(entry.name) && name !== "") {
      const path = `${directory}/${entry.name}`;
      if (entry.isSymbolicLink && options.reader.isAlias(path)) yield secondName(path);
      else parts.add(entry.name);
    } else if (entry.name.startsWith("_")) stray.push(entry.name);
    else {
      const below = { name: `${name}/${entry.name}`, isSymbolicLink: entry.isSymbolicLink };
      (entry.isSymbolicLink ? found.links : found.waiting).push(below);
    }
  }
  yield* strayNames(options, directory, { names: stray });
  if (parts.size === 0) return;
  const text = name.slice(1);
  yield {
    kind: "repository",
    name: text as RepositoryName,
    isValid: isRepositoryName(text),
    parts,
  };
}

/** Each real directory is read once: what is no garbage under one name might seem so under another. */
function secondName(path: string): ProblemItem {
  const detail = "a symbolic link to a directory that is read under another name";
  return problemItem("unknown-name", path, { detail });
}

/** A link whose target cannot be looked at counts as one to a directory, which then cannot be listed. */
function isFile(options: WalkOptions, path: string): boolean {
  try {
    return options.reader.stat(path)?.isDirectory === false;
  } catch {
    // Told when it is listed.
    return false;
  }
}
