// Deleting and undoing through the port, as the registry does it: what a deletion holds is read, then restored.
import { expect } from "bun:test";
import type { Digest, RepositoryName, Tag } from "../../../src/oci/index.ts";
import type {
  Deletion,
  DeletionEntry,
  DeletionPosition,
  Restore,
  RestoreOutcome,
  RestoreWanted,
} from "../../../src/registry/ports/index.ts";
import { type Content, repo, tag, type World } from "./world.ts";

export function deletionBy(world: World, deletedBy = "alice"): Deletion {
  return { nowMs: world.nowMs, deletedBy, reason: "api", isRestorable: true };
}

export async function deleteTag(world: World, name: string, which: string): Promise<string> {
  const wanted = { repository: repo(name), tag: tag(which) };
  return (await world.index.deleteTagRestorably(wanted, deletionBy(world))).outcome;
}

/** What went, the manifest first. */
export async function deleteImage(
  world: World,
  name: string,
  digest: Digest,
): Promise<readonly Digest[]> {
  const image = { repository: repo(name), digest };
  const foretold = await world.index.previewImageDeletion(image, world.nowMs);
  const deletion = await world.index.deleteImage(image, deletionBy(world));
  expect(deletion).toEqual({ ...foretold, tags: foretold.tags.toSorted() });
  return deletion.manifests;
}

/** `name:tag`, or the manifest by its digest. */
export function wantedOf(name: string, reference: string | Digest): RestoreWanted {
  return reference.includes(":")
    ? { repository: repo(name), digest: reference as Digest }
    : { repository: repo(name), tag: tag(reference) };
}

/** All that a deletion holds, read from what `contents` has. */
export async function readHeld(
  world: World,
  id: number,
  contents: ReadonlyMap<Digest, Content> = world.contents,
): Promise<Restore> {
  const manifests: Restore["manifests"][number][] = [];
  const lost: Digest[] = [];
  for (let after: Digest | null = null; ;) {
    const page = await world.index.heldManifests(id, { after, limit: 2 });
    for (const { digest, mediaType } of page) {
      const content = contents.get(digest);
      if (content === undefined) {
        lost.push(digest);
        continue;
      }
      const { manifest, bytes } = content;
      manifests.push({
        digest,
        sizeBytes: bytes.length,
        manifest: { ...manifest, mediaType },
        required: manifest.references
          .filter(({ kind }) => kind === "blob" || kind === "manifest")
          .map((reference) => reference.digest),
      });
    }
    after = page.at(-1)?.digest ?? null;
    if (after === null) break;
  }
  return { id, manifests, lost, forceTags: false, terms: world.terms() };
}

export async function restore(
  world: World,
  wanted: RestoreWanted,
  how: Partial<Restore> = {},
): Promise<RestoreOutcome | { readonly outcome: "there" | "gone" | "unknown" }> {
  const found = await world.index.findDeletion(wanted);
  if (found.outcome !== "found") return found;
  return await restoreById(world, found.deletion.id, how);
}

export async function restoreById(
  world: World,
  id: number,
  how: Partial<Restore> = {},
): Promise<RestoreOutcome> {
  const held = { ...(await readHeld(world, id)), ...how };
  const foretold = await world.index.previewRestore(held);
  const outcome = await world.index.restoreDeletion(held);
  if (JSON.stringify(foretold) !== JSON.stringify(outcome)) {
    throw new Error(`foretold ${JSON.stringify(foretold)}, came ${JSON.stringify(outcome)}`);
  }
  return outcome;
}

/** The whole list, in pages of two. */
export async function listed(world: World, repository?: RepositoryName): Promise<DeletionEntry[]> {
  const found: DeletionEntry[] = [];
  for (let after: DeletionPosition | null = null; ;) {
    const page = await world.index.listDeletions({
      after,
      limit: 2,
      ...(repository === undefined ? {} : { repository }),
    });
    found.push(...page);
    const last = page.at(-1);
    if (last === undefined) return found;
    after = [last.nowMs, last.id];
  }
}

/** `repository:tag` or `repository@digest`, with the tags that would come back. */
export function textOf({ what, repository, tags }: DeletionEntry): string {
  return `${what} ${repository} [${tags.join()}]`;
}

export async function tagsIn(world: World, name: string): Promise<readonly Tag[] | null> {
  return await world.index.listTags(repo(name), { after: null, limit: 999 });
}
