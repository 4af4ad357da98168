// Immutable tags, inside the transactions that would move or remove them. A tag is held once it names a
// manifest of its repository; one that names nothing there can be pushed and deleted like any other.
import {
  type Digest,
  digestFromBytes,
  isDigestReference,
  type NameGlobs,
  parseGlobs,
  type Reference,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type { HeldTag, ImmutableRule } from "../registry/ports/index.ts";
import { findBlobRow, findRepository, type Leased } from "./rows.ts";
import { namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";

/** By their text. There are no more than the configuration has rules. */
const parsed = new Map<string, NameGlobs>();

function globsOf(patterns: readonly string[]): NameGlobs {
  const key = patterns.join("\n");
  const known = parsed.get(key);
  if (known !== undefined) return known;
  const globs = parseGlobs(patterns);
  parsed.set(key, globs);
  return globs;
}

function ruleOf(rules: readonly ImmutableRule[], tag: Tag): ImmutableRule | null {
  return rules.find(({ tags }) => globsOf(tags).matches(tag)) ?? null;
}

/** The first of the tags that a rule holds at another digest than this one (null: at any). */
export function findHeldTag(
  sql: Sql,
  wanted: {
    readonly repositoryId: number | null;
    readonly tags: readonly Tag[];
    readonly digest: Digest | null;
  },
  rules: readonly ImmutableRule[] = [],
): HeldTag | null {
  if (wanted.repositoryId === null) return null;
  for (const tag of wanted.tags) {
    const rule = ruleOf(rules, tag);
    if (rule === null) continue;
    const digest = targetOf(sql, wanted.repositoryId, tag);
    if (digest !== null && digest !== wanted.digest) return { rule: rule.name, tag, digest };
  }
  return null;
}

function targetOf(sql: Sql, repositoryId: number, tag: Tag): Digest | null {
  const row = sql.get<{ digest: Uint8Array }>(
    `SELECT b.digest FROM tags t, manifests m, blobs b
     WHERE t.repository_id = ?1 AND t.name = ?2
       AND m.repository_id = ?1 AND m.blob_id = t.blob_id AND b.id = t.blob_id`,
    repositoryId,
    tag,
  );
  return row === null ? null : digestFromBytes(row.digest);
}

export function findHeld(
  sql: Sql,
  wanted: { readonly repository: RepositoryName; readonly reference: Reference },
  rules: readonly ImmutableRule[],
): HeldTag | null {
  const { repository, reference } = wanted;
  const repositoryId = findRepository(sql, repository);
  if (repositoryId === null) return null;
  if (!isDigestReference(reference)) {
    return findHeldTag(sql, { repositoryId, tags: [reference], digest: null }, rules);
  }
  const blobId = findBlobRow(sql, reference)?.id;
  return blobId === undefined ? null : findHolderOf(sql, { repositoryId, blobId }, rules);
}

/** A tag that a rule holds and that would lose its manifest, or a part of what it names, with this one. */
export function findHolderOf(
  sql: Sql,
  manifest: Leased,
  rules: readonly ImmutableRule[] = [],
): HeldTag | null {
  if (rules.length === 0) return null;
  const tags = sql.all<{ name: Tag; digest: Uint8Array }>(
    `WITH RECURSIVE namer(id) AS (
       VALUES (?2)
       UNION
       SELECT m.blob_id FROM namer CROSS JOIN named n INDEXED BY named_by_blob CROSS JOIN manifests m
       WHERE n.blob_id = namer.id AND n.kind = ${namedKind.manifest}
         AND m.repository_id = ?1 AND m.blob_id = n.manifest_id
     )
     SELECT t.name, b.digest
     FROM namer CROSS JOIN tags t INDEXED BY tags_by_manifest CROSS JOIN blobs b
     WHERE t.blob_id = namer.id AND t.repository_id = ?1 AND b.id = t.blob_id`,
    manifest.repositoryId,
    manifest.blobId,
  );
  for (const { name: tag, digest } of tags) {
    const rule = ruleOf(rules, tag);
    if (rule !== null) return { rule: rule.name, tag, digest: digestFromBytes(digest) };
  }
  return null;
}
