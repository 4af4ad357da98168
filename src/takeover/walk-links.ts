// Reads a directory of links: <algorithm>/<hex>/link. What a link is for is told by its directory's
// name; its text should say the same. Nothing may be lost for the sake of a bent link (INV-7): as long
// as the file is there, the link stands.
import { type Digest, digestFromParts, isDigestAlgorithm } from "../oci/index.ts";
import { parseLink } from "../storage/layout.ts";
import type { ProblemItem } from "./items.ts";
import {
  type Concerned,
  problemItem,
  reasonOf,
  strayNames,
  unlistable,
  type WalkOptions,
} from "./problems.ts";

export interface LinkItem {
  readonly kind: "link";
  readonly digest: Digest;
  /** What the text names, where that is another digest than the directory's name. */
  readonly names: Digest | null;
}

/** A directory whose name is no digest: nothing can be asked for by it. */
export interface StrayItem {
  readonly kind: "stray";
  readonly path: string;
  readonly reason: "unknown-name" | "unknown-algorithm";
}

export interface LinkDirectory extends Concerned {
  readonly path: string;
  /** Whether each link's own directory is listed too, for leftover files. */
  readonly isListed: boolean;
  /** Whether a link of the right length is believed: what it is for is told by its directory's name. */
  readonly isLengthEnough: boolean;
}

export function* walkLinks(
  options: WalkOptions,
  directory: LinkDirectory,
): Generator<LinkItem | StrayItem | ProblemItem> {
  for (const algorithm of yield* namesIn(options, directory.path, directory)) {
    const path = `${directory.path}/${algorithm}`;
    if (!isDigestAlgorithm(algorithm)) {
      yield { kind: "stray", path, reason: "unknown-algorithm" };
      continue;
    }
    for (const hex of yield* namesIn(options, path, directory)) {
      const digest = digestFromParts(algorithm, hex);
      if (digest === null) yield { kind: "stray", path: `${path}/${hex}`, reason: "unknown-name" };
      else yield* readLink(options, directory, { path: `${path}/${hex}`, digest });
    }
  }
}

/** The names in a directory; what cannot be listed is reported, and has none. */
export function* namesIn(
  options: WalkOptions,
  path: string,
  concerned: Concerned = {},
): Generator<ProblemItem, readonly string[]> {
  try {
    return options.reader.names(path) ?? [];
  } catch (error) {
    const { repository } = concerned;
    yield unlistable(path, error, repository === undefined ? {} : { repository });
    return [];
  }
}

function* readLink(
  options: WalkOptions,
  directory: LinkDirectory,
  link: { readonly path: string; readonly digest: Digest },
): Generator<LinkItem | ProblemItem> {
  const { digest } = link;
  const concerned = { ...concernedOf(directory), name: directory.name ?? digest };
  if (directory.isListed) {
    const names = yield* namesIn(options, link.path, directory);
    if (names.length > 1 || (names.length === 1 && names[0] !== "link")) {
      const stray = names.filter((name) => name !== "link");
      yield* strayNames(options, link.path, { ...concernedOf(directory), names: stray });
    }
  }
  const path = `${link.path}/link`;
  let text: string | null;
  try {
    if (directory.isLengthEnough && options.reader.stat(path)?.sizeBytes === digest.length) {
      yield { kind: "link", digest, names: null };
      return;
    }
    text = options.reader.text(path);
  } catch (error) {
    yield problemItem("bad-link", path, { ...concerned, detail: `unreadable: ${reasonOf(error)}` });
    yield { kind: "link", digest, names: null };
    return;
  }
  // An empty directory: the classic registry leaves it behind when it deletes.
  if (text === null) return;
  if (text === digest) {
    yield { kind: "link", digest, names: null };
    return;
  }
  const names = parseLink(text);
  if (names !== null && names !== digest && isSecondName(options, link.path)) {
    const detail = `a symbolic link to the directory of ${names}`;
    yield problemItem("unknown-name", link.path, { ...concerned, detail });
    return;
  }
  if (names !== digest) {
    yield problemItem("bad-link", path, { ...concerned, detail: badText(text, names) });
  }
  yield { kind: "link", digest, names: names === digest ? null : names };
}

function isSecondName(options: WalkOptions, path: string): boolean {
  try {
    return options.reader.isAlias(path);
  } catch {
    // Then the link is one that names something else, which keeps more.
    return false;
  }
}

function badText(text: string, names: Digest | null): string {
  if (text === "") return "is empty; taken by its directory's name";
  if (names !== null) return `names ${names} instead`;
  return `holds no digest but "${text.slice(0, 80)}"; taken by its directory's name`;
}

function concernedOf(directory: LinkDirectory): Concerned {
  return directory.repository === undefined ? {} : { repository: directory.repository };
}
