// What one repository's tree has and the index has not, or the other way round. Pure but for the reading
// of the tree; takes nothing in. Where something could not be listed, nothing counts as gone (INV-7).
import type { Digest, RepositoryName, Tag } from "../oci/index.ts";
import type { Difference, RepositoryFacts } from "../registry/ports/index.ts";
import { blobDataPath } from "../storage/layout.ts";
import type { DifferenceItem, ProblemItem, SeenItem } from "./items.ts";
import { problemItem, type WalkOptions } from "./problems.ts";
import type { ManifestContent, ManifestReader } from "./read-manifests.ts";
import type { FoundRepository } from "./walk-names.ts";
import { type RepositoryItem, walkRepository } from "./walk-repository.ts";

export interface CompareOptions extends WalkOptions {
  readonly manifests: ManifestReader;
}

/** What the index has and the tree has not shown yet. */
interface Left {
  readonly layers: Set<Digest>;
  readonly revisions: Set<Digest>;
  readonly tags: Map<Tag, Digest>;
  readonly tagHistory: Map<Tag, Set<Digest>>;
  readonly uploads: ReadonlySet<string>;
  readonly unread: RepositoryFacts["unread"];
  /** What each tag names in the tree: its entry in the history goes without saying. */
  readonly current: Map<Tag, Digest>;
}

/** @param facts null: the index holds nothing yet. */
export function* compareRepository(
  options: CompareOptions,
  repository: FoundRepository,
  facts: RepositoryFacts | null,
): Generator<DifferenceItem | ProblemItem | SeenItem> {
  const left = leftOf(facts);
  let isBlind = false;
  for (const item of walkRepository(options, repository)) {
    if (item.kind === "problem") {
      if (item.problem.kind === "unlistable-directory") isBlind = true;
      yield item;
    } else if (item.kind === "revision") {
      yield { kind: "seen" };
      yield* compareRevision(options, repository.name, { item, left });
    } else {
      const difference = compareItem(options, repository.name, { item, left });
      if (difference !== null) yield { kind: "difference", difference };
    }
  }
  if (isBlind) return;
  for (const difference of goneFrom(repository.name, options.nowMs, left)) {
    yield { kind: "difference", difference };
  }
}

function leftOf(facts: RepositoryFacts | null): Left {
  return {
    layers: new Set(facts?.layers),
    revisions: new Set(facts?.revisions),
    tags: new Map(facts?.tags),
    tagHistory: new Map(
      facts === null ? [] : [...facts.tagHistory].map(([tag, set]) => [tag, new Set(set)]),
    ),
    uploads: facts?.uploads ?? new Set(),
    unread: facts?.unread ?? new Map(),
    current: new Map(),
  };
}

type PlainItem = Exclude<RepositoryItem, ProblemItem | { kind: "revision" }>;

function compareItem(
  options: CompareOptions,
  repository: RepositoryName,
  { item, left }: { readonly item: PlainItem; readonly left: Left },
): Difference | null {
  switch (item.kind) {
    case "layer":
      if (left.layers.delete(item.digest)) return null;
      return { kind: "layer", repository, digest: item.digest, there: true };
    case "tag": {
      const known = left.tags.get(item.tag);
      left.tags.delete(item.tag);
      // What cannot be read does not contradict the index.
      if (item.digest === null) return null;
      left.current.set(item.tag, item.digest);
      if (known === item.digest) return null;
      const { tag, digest } = item;
      return { kind: "tag", repository, tag, digest, modifiedMs: options.nowMs };
    }
    case "tag-history": {
      const { tag, digest } = item;
      const isKnown = left.tagHistory.get(tag)?.delete(digest) === true;
      if (isKnown || left.current.get(tag) === digest) return null;
      return { kind: "tag-history", repository, tag, digest, there: true };
    }
    case "upload": {
      const { id, startedAtMs } = item;
      // One that began while we run is our own, and over by now.
      const isOurs = options.settledBeforeMs !== null && startedAtMs > options.settledBeforeMs;
      return isOurs || left.uploads.has(id)
        ? null
        : { kind: "upload", repository, id, startedAtMs };
    }
  }
}

function* compareRevision(
  options: CompareOptions,
  repository: RepositoryName,
  found: { readonly item: Extract<RepositoryItem, { kind: "revision" }>; readonly left: Left },
): Generator<DifferenceItem | ProblemItem> {
  const { left, item } = found;
  const { digest } = item;
  const before = left.revisions.delete(digest) ? (left.unread.get(digest) ?? "read") : null;
  if (before === "read" && item.isSure) return;
  const content = contentOf(options, item);
  if (content.status === "unreadable") {
    const detail = `${content.reason}; everything in the repository stays`;
    yield problemItem("unreadable-manifest", blobDataPath(digest), {
      repository,
      name: digest,
      detail,
    });
  }
  if (content.status === before) return;
  yield {
    kind: "difference",
    difference: {
      kind: "revision",
      repository,
      digest,
      there: true,
      manifest: content.status === "read" ? content.manifest : null,
      sizeBytes: content.status === "absent" ? null : content.sizeBytes,
    },
  };
}

function contentOf(
  options: CompareOptions,
  { digest, isSure }: { readonly digest: Digest; readonly isSure: boolean },
): ManifestContent {
  if (isSure) return options.manifests.read(digest);
  const reason = "its link names another manifest, which has no link of its own here";
  return { status: "unreadable", reason, sizeBytes: 0 };
}

/**
 * What the index has and the tree has not. Tags go before the manifests that they name. Uploads are left
 * alone: one that has no bytes yet has no place in the tree.
 */
function* goneFrom(repository: RepositoryName, nowMs: number, left: Left): Generator<Difference> {
  for (const tag of left.tags.keys()) {
    yield { kind: "tag", repository, tag, digest: null, modifiedMs: nowMs };
  }
  for (const [tag, digests] of left.tagHistory) {
    for (const digest of digests) {
      if (left.current.get(tag) === digest) continue;
      yield { kind: "tag-history", repository, tag, digest, there: false };
    }
  }
  for (const digest of left.revisions) {
    const gone = { there: false, manifest: null, sizeBytes: null } as const;
    yield { kind: "revision", repository, digest, ...gone };
  }
  for (const digest of left.layers) yield { kind: "layer", repository, digest, there: false };
}
