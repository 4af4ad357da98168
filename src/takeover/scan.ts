// Walks a whole tree beside the index: all blobs, all repositories, then what is in the index alone.
// One long sequence of items, read step by step so that whoever drives it may pause between any two;
// no look-up in the index outlives a step. Takes nothing in.
import type { Digest, DigestAlgorithm, RepositoryName, Tag } from "../oci/index.ts";
import type { Page, RepositoryFacts } from "../registry/ports/index.ts";
import {
  blobDataPath,
  blobsRoot,
  layerLinkPath,
  repositoriesRoot,
  repositoryDirectory,
  revisionLinkPath,
  tagCurrentLinkPath,
} from "../storage/layout.ts";
import type { DifferenceItem, ProblemItem, PulseItem } from "./items.ts";
import { compareShard } from "./compare-blobs.ts";
import { type CompareOptions, compareRepository } from "./compare-repository.ts";
import { problemItem } from "./problems.ts";
import { blobShards, walkBlobsRoot } from "./walk-blobs.ts";
import { findRepositories, type FoundRepository, repositoryParts } from "./walk-names.ts";

/** What names nothing: a link, manifest or tag whose bytes or manifest the index does not know. */
export interface Dangling {
  readonly what: "layer" | "revision" | "tag";
  readonly repository: RepositoryName;
  readonly tag: Tag | null;
  readonly digest: Digest;
}

/** What the walk asks of the index, on a connection of its own and synchronously. */
export interface TreeFacts {
  listKnownRepositories(page: Page): readonly RepositoryName[];
  repositoryFacts(repository: RepositoryName): RepositoryFacts;
  blobsWithPrefix(algorithm: DigestAlgorithm, hexPrefix: string): ReadonlyMap<Digest, number>;
  /** A page by blob numbers after this one; `next` null: there are no more. */
  danglingPage(
    after: number,
    limit: number,
  ): { readonly next: number | null; readonly found: readonly Dangling[] };
}

/** How far a walk has come. */
export interface Seen {
  repositories: number;
  manifests: number;
  blobs: number;
}

export type ScanItem = DifferenceItem | ProblemItem | PulseItem;

export interface ScanOptions extends CompareOptions {
  readonly facts: TreeFacts;
  /** The index holds nothing yet: everything in the tree is a difference. */
  readonly isFirst: boolean;
  /** Counted up on the way. */
  readonly seen: Seen;
}

/** Which part of the tree a walk takes: several walks side by side wait for a disk side by side. */
export interface Share {
  readonly index: number;
  readonly of: number;
}

/** Rows of the index looked at in one step. */
const pageSize = 1_000;

export function* scanTree(options: ScanOptions, share: Share): Generator<ScanItem> {
  yield* scanBlobs(options, share);
  yield* scanRepositories(options, share);
}

/** What is left to do when all shares have been walked and taken in; `seen` is theirs together. */
export function* finishScan(options: ScanOptions): Generator<ScanItem> {
  yield* reportHalves(options);
  yield* reportDangling(options);
}

/** Without any directories of blobs, no blob counts as gone. */
function* scanBlobs(options: ScanOptions, share: Share): Generator<ScanItem> {
  const { facts, seen } = options;
  if (!(yield* forFirst(share, walkBlobsRoot(options)))) return;
  for (const [n, shard] of blobShards().entries()) {
    if (n % share.of !== share.index) continue;
    const known = options.isFirst ? null : facts.blobsWithPrefix(shard.algorithm, shard.prefix);
    for (const item of compareShard(options, shard, known)) {
      if (item.kind === "seen") seen.blobs++;
      else yield item;
    }
    yield { kind: "pulse" };
  }
}

function* scanRepositories(options: ScanOptions, share: Share): Generator<ScanItem> {
  let isBlind = false;
  for (const item of findRepositories(options)) {
    if (item.kind === "problem") {
      if (item.problem.kind === "unlistable-directory") isBlind = true;
      if (share.index === 0) yield item;
    } else if (Bun.hash.crc32(item.name) % share.of === share.index) {
      yield* scanRepository(options, item);
      options.seen.repositories++;
    }
  }
  // What could not be listed may hold any of them (INV-7).
  if (!options.isFirst && !isBlind && share.index === 0) yield* scanVanished(options);
}

/** What every share looks at and only the first one tells. */
function* forFirst<Result>(
  share: Share,
  items: Generator<ScanItem, Result>,
): Generator<ScanItem, Result> {
  if (share.index === 0) return yield* items;
  for (;;) {
    const next = items.next();
    if (next.done === true) return next.value;
  }
}

function* scanRepository(options: ScanOptions, repository: FoundRepository): Generator<ScanItem> {
  const facts = options.isFirst ? null : options.facts.repositoryFacts(repository.name);
  for (const item of compareRepository(options, repository, facts)) {
    if (item.kind === "seen") options.seen.manifests++;
    else yield item;
  }
  yield { kind: "pulse" };
}

/** Repositories that the index knows and the tree has not any more. */
function* scanVanished(options: ScanOptions): Generator<ScanItem> {
  let after: RepositoryName | null = null;
  for (;;) {
    const page = options.facts.listKnownRepositories({ after, limit: pageSize });
    for (const name of page) {
      if (isThere(options, name)) continue;
      yield* scanRepository(options, {
        kind: "repository",
        name,
        isValid: true,
        parts: new Set(),
      });
    }
    after = page.at(-1) ?? null;
    if (after === null) return;
    yield { kind: "pulse" };
  }
}

function isThere(options: ScanOptions, repository: RepositoryName): boolean {
  try {
    const { reader } = options;
    const path = repositoryDirectory(repository);
    const names = (reader.names(path) ?? []).filter((name) => repositoryParts.has(name));
    // By a second name it is not: it is read by its real one.
    return names.some((name) => !reader.isAlias(`${path}/${name}`));
  } catch {
    // It could be read a moment ago; what cannot be looked at does not count as gone (INV-7).
    return true;
  }
}

/**
 * One half of the tree without the other is a disk that is not mounted, or a wrong move, and not a
 * registry in which nothing refers to anything (INV-7).
 */
function* reportHalves(options: ScanOptions): Generator<ProblemItem> {
  const { seen } = options;
  if (seen.blobs === 0 && seen.manifests > 0) {
    const detail = `no blobs are here, though repositories hold ${seen.manifests} manifests`;
    yield problemItem("unlistable-directory", blobsRoot, { detail });
  }
  if (seen.blobs > 0 && seen.repositories === 0 && !isDirectory(options, repositoriesRoot)) {
    const detail = `no repositories are here, though there are ${seen.blobs} blobs`;
    yield problemItem("unlistable-directory", repositoriesRoot, { detail });
  }
}

function isDirectory(options: ScanOptions, path: string): boolean {
  try {
    return options.reader.stat(path)?.isDirectory === true;
  } catch {
    // Reported when it was to be listed.
    return false;
  }
}

function* reportDangling(options: ScanOptions): Generator<ProblemItem | PulseItem> {
  let after = 0;
  for (;;) {
    const { next, found } = options.facts.danglingPage(after, pageSize);
    for (const dangling of found) yield danglingProblem(dangling);
    if (next === null) return;
    after = next;
    yield { kind: "pulse" };
  }
}

function danglingProblem({ what, repository, tag, digest }: Dangling): ProblemItem {
  const bytes = `there is no ${blobDataPath(digest)}`;
  switch (what) {
    case "layer":
      return problemItem("dangling-link", layerLinkPath(repository, digest), {
        repository,
        name: digest,
        detail: bytes,
      });
    case "revision":
      return problemItem("dangling-revision", revisionLinkPath(repository, digest), {
        repository,
        name: digest,
        detail: bytes,
      });
    case "tag": {
      const path =
        tag === null ? repositoryDirectory(repository) : tagCurrentLinkPath(repository, tag);
      const detail = `names ${digest}, which is no manifest of the repository`;
      return problemItem("dangling-tag", path, { repository, name: tag ?? digest, detail });
    }
  }
}
