// Tags that are no images of their own but hang on one: cosign's (`sha256-<hex>.sig`, `.att`, `.sbom`), and
// the distribution specification's fallback for referrers (`sha256-<hex>`).
import { algorithmOf, type Digest, hexOf, isDigest } from "./digest.ts";
import type { Tag } from "./names.ts";

const pattern = /^sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?$/;

/** The digest that the tag is attached to; null: it is a tag like any other. */
export function attachedTo(tag: Tag): Digest | null {
  const hex = pattern.exec(tag)?.[1];
  if (hex === undefined) return null;
  const digest = `sha256:${hex}`;
  return isDigest(digest) ? digest : null;
}

/** The names that attachments of a manifest have. */
export function attachmentTags(digest: Digest): readonly Tag[] {
  if (algorithmOf(digest) !== "sha256") return [];
  const stem = `sha256-${hexOf(digest)}`;
  return [stem, `${stem}.sig`, `${stem}.att`, `${stem}.sbom`] as Tag[];
}
