// What deleting repositories, tags and manifests together, and collecting, would free: exactly which
// manifests and blobs, given that everything else stays. Changes nothing. Leases and deletions that can be
// undone put it off, and are not counted.
import {
  type Digest,
  isDigestReference,
  parseReference,
  parseRepositoryName,
  type Reference,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type { BlobFact, RepositoryManifest } from "../registry/ports/index.ts";
import { DoomedSet } from "./doomed-set.ts";
import { findFreed, type Freed } from "./freed-blobs.ts";
import { findHanging, type Going } from "./hanging-manifests.ts";
import type { ReadingParts } from "./usage-parts.ts";

/** A repository as a whole (`reference` null), or one of its tags or manifests. */
export interface DeleteTarget {
  readonly repository: RepositoryName;
  readonly reference: Reference | null;
}

/** Targets of one preview; more make no sense on a command line or in a request. */
export const targetsMax = 1_000;

/** `repository`, `repository:tag` or `repository@digest`. @throws RegistryError */
export function parseTarget(text: string): DeleteTarget {
  const at = text.indexOf("@");
  const colon = text.indexOf(":");
  const end = at !== -1 ? at : colon;
  if (end === -1) return { repository: parseRepositoryName(text), reference: null };
  const repository = parseRepositoryName(text.slice(0, end));
  return { repository, reference: parseReference(text.slice(end + 1)) };
}

export interface DeletePreview extends Freed {
  /** Manifests that would go, those of whole repositories included. */
  readonly manifests: number;
  /** Targets that are not there. */
  readonly unknown: readonly DeleteTarget[];
}

export interface PreviewListener {
  /** Those of whole repositories are not told one by one. */
  readonly manifest?: (manifest: RepositoryManifest) => void | Promise<void>;
  readonly blobs?: (blobs: readonly BlobFact[]) => void | Promise<void>;
}

export async function previewDeletion(
  parts: ReadingParts,
  targets: readonly DeleteTarget[],
  listener: PreviewListener = {},
): Promise<DeletePreview> {
  const { index } = parts;
  const unknown: DeleteTarget[] = [];
  const whole = new Set<RepositoryName>();
  let manifests = 0;
  for (const target of targets) {
    if (target.reference !== null || whole.has(target.repository)) continue;
    const usage = await index.repositoryUsage(target.repository);
    if (usage === null) unknown.push(target);
    else {
      whole.add(target.repository);
      manifests += usage.manifests;
    }
  }
  const doomed = new DoomedSet(whole);
  let atLeast = false;
  for (const going of (await goingOf(parts, targets, unknown)).values()) {
    if (whole.has(going.repository)) continue;
    const hanging = await findHanging(parts, going);
    atLeast ||= hanging.atLeast;
    for (const digest of hanging.manifests) {
      const manifest = { repository: going.repository, digest };
      doomed.add(manifest);
      await listener.manifest?.(manifest);
    }
  }
  const freed = await findFreed(parts, doomed, listener.blobs);
  return {
    ...freed,
    atLeast: freed.atLeast || atLeast,
    manifests: manifests + doomed.size,
    unknown,
  };
}

/** Tags and manifests by repository, as what hangs on them is looked for in each as a whole. */
async function goingOf(
  { index }: ReadingParts,
  targets: readonly DeleteTarget[],
  unknown: DeleteTarget[],
): Promise<ReadonlyMap<RepositoryName, Going>> {
  const goings = new Map<
    RepositoryName,
    { repository: RepositoryName; deleted: Set<Digest>; tags: Map<Tag, Digest> }
  >();
  for (const target of targets) {
    const { repository, reference } = target;
    if (reference === null) continue;
    const manifest = isDigestReference(reference)
      ? await index.findManifest(repository, reference)
      : await index.findTag(repository, reference);
    if (manifest === null) {
      unknown.push(target);
      continue;
    }
    const going = goings.get(repository) ?? { repository, deleted: new Set(), tags: new Map() };
    goings.set(repository, going);
    if (isDigestReference(reference)) going.deleted.add(manifest.digest);
    else going.tags.set(reference, manifest.digest);
  }
  return goings;
}
