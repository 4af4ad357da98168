// Walks one repository of a tree, and says what is there: layer links, revisions, tags, tag history,
// uploads. Stops for nothing. Reads no manifests and knows no index; holds the names of one directory at
// a time.
import { type Digest, isTag, type RepositoryName, type Tag } from "../oci/index.ts";
import {
  parseLink,
  repositoryDirectory,
  revisionLinkPath,
  uploadDirectory,
} from "../storage/layout.ts";
import type { ProblemItem } from "./items.ts";
import { isUnderWay, problemItem, reasonOf, strayNames, type WalkOptions } from "./problems.ts";
import { namesIn, type StrayItem, walkLinks } from "./walk-links.ts";
import type { FoundRepository } from "./walk-names.ts";

export type RepositoryItem =
  | { readonly kind: "layer"; readonly digest: Digest }
  /** `isSure` false: its link names another manifest, which nothing else keeps. */
  | { readonly kind: "revision"; readonly digest: Digest; readonly isSure: boolean }
  /** `digest` null: the tag is there, but what it names cannot be read. */
  | { readonly kind: "tag"; readonly tag: Tag; readonly digest: Digest | null }
  | { readonly kind: "tag-history"; readonly tag: Tag; readonly digest: Digest }
  | { readonly kind: "upload"; readonly id: string; readonly startedAtMs: number }
  | ProblemItem;

export function* walkRepository(
  options: WalkOptions,
  repository: FoundRepository,
): Generator<RepositoryItem> {
  const { name, parts } = repository;
  if (!repository.isValid) {
    yield* reportInvalidName(name);
    yield* walkRevisions(options, name);
    return;
  }
  if (parts.has("_layers")) yield* walkLayers(options, name);
  if (parts.has("_manifests")) yield* walkManifests(options, repository);
  if (parts.has("_uploads")) yield* walkUploads(options, name);
}

/** Its manifests are taken in, so that what they name stays, and no policy may remove them. */
function* reportInvalidName(repository: RepositoryName): Generator<ProblemItem> {
  const path = repositoryDirectory(repository);
  const detail = "not the name of a repository: kept as it is, but no client can ask for it";
  yield problemItem("unknown-name", path, { repository, detail });
  yield problemItem("unreadable-tag", `${path}/_manifests/tags`, {
    repository,
    detail: "tags of a repository without a valid name are not read",
  });
}

function* walkLayers(options: WalkOptions, repository: RepositoryName): Generator<RepositoryItem> {
  const path = `${repositoryDirectory(repository)}/_layers`;
  // Half of all system calls of a walk are here: one a link, unless every byte is asked for.
  const { thorough } = options;
  const directory = { path, repository, isListed: thorough, isLengthEnough: !thorough };
  for (const item of walkLinks(options, directory)) {
    if (item.kind === "link") yield { kind: "layer", digest: item.digest };
    else if (item.kind === "stray") yield strayProblem(item, repository);
    else yield item;
  }
}

function strayProblem(item: StrayItem, repository: RepositoryName): ProblemItem {
  const detail = item.reason === "unknown-name" ? "no digest" : "no digest algorithm known here";
  return problemItem(item.reason, item.path, { repository, detail });
}

function* walkManifests(
  options: WalkOptions,
  { name, parts }: FoundRepository,
): Generator<RepositoryItem> {
  const directory = repositoryDirectory(name);
  let revisions = 0;
  for (const item of walkRevisions(options, name)) {
    if (item.kind === "revision") revisions++;
    yield item;
  }
  yield* walkTags(options, name);
  if (revisions === 0) return;
  if (!parts.has("_layers")) yield missing(`${directory}/_layers`, name);
  const known = yield* namesIn(options, `${directory}/_manifests`, { repository: name });
  if (!known.includes("tags")) yield missing(`${directory}/_manifests/tags`, name);
  yield* strayNames(options, `${directory}/_manifests`, {
    repository: name,
    names: known.filter((entry) => entry !== "tags" && entry !== "revisions"),
  });
}

function missing(path: string, repository: RepositoryName): ProblemItem {
  return problemItem("missing-directory", path, { repository, detail: "is not there" });
}

function* walkRevisions(
  options: WalkOptions,
  repository: RepositoryName,
): Generator<RepositoryItem> {
  const path = `${repositoryDirectory(repository)}/_manifests/revisions`;
  const directory = { path, repository, isListed: true, isLengthEnough: false };
  for (const item of walkLinks(options, directory)) {
    if (item.kind === "link") {
      const isSure = item.names === null || hasRevision(options, repository, item.names);
      yield { kind: "revision", digest: item.digest, isSure };
    } else if (item.kind === "stray") yield* strayRevision(options, repository, item);
    else yield item;
  }
}

function hasRevision(options: WalkOptions, repository: RepositoryName, digest: Digest): boolean {
  try {
    return options.reader.stat(revisionLinkPath(repository, digest)) !== null;
  } catch {
    // Not known to be kept, so what the link names is not sure.
    return false;
  }
}

/**
 * A directory among the revisions that is none. If it may stand for manifests that nothing else keeps,
 * nothing is known to be garbage until somebody has looked at it (INV-7).
 */
function* strayRevision(
  options: WalkOptions,
  repository: RepositoryName,
  stray: StrayItem,
): Generator<ProblemItem> {
  yield strayProblem(stray, repository);
  let detail: string | null = null;
  try {
    if (stray.reason === "unknown-algorithm") {
      const held = options.reader.names(stray.path) ?? [];
      if (held.length > 0) detail = "holds manifests by a digest algorithm that is not known here";
    } else {
      const names = parseLink(options.reader.text(`${stray.path}/link`) ?? "");
      if (names !== null && !hasRevision(options, repository, names)) {
        detail = `its link names ${names}, which has no revision of its own here`;
      }
    }
  } catch (error) {
    detail = reasonOf(error);
  }
  if (detail !== null)
    yield problemItem("unlistable-directory", stray.path, { repository, detail });
}

function* walkTags(options: WalkOptions, repository: RepositoryName): Generator<RepositoryItem> {
  const path = `${repositoryDirectory(repository)}/_manifests/tags`;
  for (const name of yield* namesIn(options, path, { repository })) {
    const directory = `${path}/${name}`;
    if (isTag(name)) {
      const current = yield* readTag(options, { repository, tag: name, directory });
      yield* walkHistory(options, { repository, tag: name, directory, current });
    } else if ((yield* namesIn(options, directory, { repository })).length === 0) {
      yield* strayNames(options, path, { repository, names: [name] });
    } else {
      const detail = "not the name of a tag: kept, and so is every manifest of the repository";
      yield problemItem("unreadable-tag", directory, { repository, detail });
    }
  }
}

interface TagDirectory {
  readonly repository: RepositoryName;
  readonly tag: Tag;
  readonly directory: string;
}

/** Returns what the tag names. */
function* readTag(
  options: WalkOptions,
  at: TagDirectory,
): Generator<RepositoryItem, Digest | null> {
  const { repository, tag } = at;
  const concerned = { repository, name: tag };
  const path = `${at.directory}/current/link`;
  const names = yield* namesIn(options, `${at.directory}/current`, concerned);
  if (names.length > 1) {
    const stray = names.filter((name) => name !== "link");
    yield* strayNames(options, `${at.directory}/current`, { repository, names: stray });
  }
  try {
    const text = options.reader.text(path);
    if (text === null) {
      if (isUnderWay(options, at.directory)) return null;
      yield problemItem("dangling-tag", path, { ...concerned, detail: "is not there" });
      return null;
    }
    const digest = parseLink(text);
    if (digest === null) {
      const detail = text === "" ? "is empty" : `holds no digest but "${text.slice(0, 80)}"`;
      yield problemItem("unreadable-tag", path, { ...concerned, detail });
    }
    yield { kind: "tag", tag, digest };
    return digest;
  } catch (error) {
    yield problemItem("unreadable-tag", path, { ...concerned, detail: reasonOf(error) });
    yield { kind: "tag", tag, digest: null };
    return null;
  }
}

/** What the tag named at any time; that it names what it does now goes without saying. */
function* walkHistory(
  options: WalkOptions,
  at: TagDirectory & { readonly current: Digest | null },
): Generator<RepositoryItem> {
  const { repository, tag, current } = at;
  const directory = {
    path: `${at.directory}/index`,
    repository,
    name: tag,
    isListed: options.thorough,
    isLengthEnough: !options.thorough,
  };
  for (const item of walkLinks(options, directory)) {
    if (item.kind === "stray") yield strayProblem(item, repository);
    else if (item.kind === "problem") yield item;
    else if (item.digest !== current) yield { kind: "tag-history", tag, digest: item.digest };
  }
}

/** A session's id becomes a part of paths. */
const uploadIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

function* walkUploads(options: WalkOptions, repository: RepositoryName): Generator<RepositoryItem> {
  const path = `${repositoryDirectory(repository)}/_uploads`;
  for (const id of yield* namesIn(options, path, { repository })) {
    if (!uploadIdPattern.test(id)) {
      yield* strayNames(options, path, { repository, names: [id] });
      continue;
    }
    yield* readUpload(options, repository, id);
  }
}

function* readUpload(
  options: WalkOptions,
  repository: RepositoryName,
  id: string,
): Generator<RepositoryItem> {
  const directory = uploadDirectory(repository, id);
  try {
    const text = options.reader.text(`${directory}/startedat`);
    const startedAtMs = Date.parse(text ?? "");
    if (!Number.isNaN(startedAtMs)) {
      yield { kind: "upload", id, startedAtMs };
      return;
    }
    const stat = options.reader.stat(`${directory}/data`) ?? options.reader.stat(directory);
    if (stat === null) return;
    yield { kind: "upload", id, startedAtMs: stat.modifiedMs };
    if (isUnderWay(options, directory)) return;
    const detail = "does not say when it began; its last write counts";
    yield problemItem("abandoned-upload", directory, { repository, name: id, detail });
  } catch (error) {
    yield problemItem("abandoned-upload", directory, { repository, detail: reasonOf(error) });
  }
}
