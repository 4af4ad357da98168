// Takes a tree into an empty index: the same facts as comparing.ts would write one by one, many rows a
// statement (a first build is mostly this). Only for a first build, where nothing else writes and nothing
// was there before.
import { type Digest, hexOf, algorithmOf, mediaTypes, type RepositoryName } from "../oci/index.ts";
import type { Difference } from "../registry/ports/index.ts";
import { ensureRepository } from "./rows.ts";
import { blobState, manifestContent, namedKind } from "./schema.ts";
import type { Bindings, Sql } from "./sql.ts";
import { deferCount } from "./usage-count.ts";

type Of<Kind extends Difference["kind"]> = Extract<Difference, { kind: Kind }>;

/** Rows of one statement. Measured: 20 and 100 take a quarter of the time of one row a statement. */
const rowsAtOnce = 50;

/** A statement for any number of rows. */
class Rows {
  readonly #one: string;
  readonly #many: string;
  readonly #width: number;

  /** `row`: the placeholders of one row; `text`: the statement around all of them. */
  constructor(row: string, text: (rows: string) => string) {
    this.#width = row.split("?").length - 1;
    this.#one = text(row);
    this.#many = text(Array.from({ length: rowsAtOnce }, () => row).join(", "));
  }

  run(sql: Sql, values: Bindings): void {
    const step = this.#width * rowsAtOnce;
    let start = 0;
    for (; start + step <= values.length; start += step) {
      sql.run(this.#many, ...values.slice(start, start + step));
    }
    for (; start < values.length; start += this.#width) {
      sql.run(this.#one, ...values.slice(start, start + this.#width));
    }
  }
}

const statements = {
  blobs: new Rows(
    "(unhex(?), ?, ?, ?)",
    (rows) => `INSERT INTO blobs (digest, size, state, foreign_since) VALUES ${rows}
      ON CONFLICT DO UPDATE SET size = excluded.size, state = excluded.state,
        foreign_since = excluded.foreign_since`,
  ),
  layers: new Rows(
    "(?, ?)",
    (rows) => `INSERT OR IGNORE INTO layers (repository_id, blob_id) VALUES ${rows}`,
  ),
  manifests: new Rows(
    "(?, ?, ?, ?, ?, ?, ?, ?)",
    (rows) => `INSERT OR IGNORE INTO manifests (repository_id, blob_id, media_type, subject_id,
      artifact_type, annotations, pushed_at, unreadable) VALUES ${rows}`,
  ),
  named: new Rows(
    "(?, ?, ?)",
    (rows) => `INSERT OR IGNORE INTO named (manifest_id, blob_id, kind) VALUES ${rows}`,
  ),
  tags: new Rows(
    "(?, ?, ?, ?)",
    (rows) => `INSERT OR IGNORE INTO tags (repository_id, name, blob_id, moved_at) VALUES ${rows}`,
  ),
  history: new Rows(
    "(?, ?, ?)",
    (rows) => `INSERT OR IGNORE INTO tag_history (repository_id, name, blob_id) VALUES ${rows}`,
  ),
  uploads: new Rows(
    "(?, ?, ?, ?)",
    (rows) => `INSERT OR IGNORE INTO uploads (id, repository_id, started_at, touched_at)
      VALUES ${rows}`,
  ),
} as const;

type Table = keyof typeof statements;

/** Looks digests up, many in one statement. */
const findMany = `SELECT v.column1 AS digest, b.id FROM (VALUES ${Array.from(
  { length: rowsAtOnce },
  () => "(?)",
).join(", ")}) v CROSS JOIN blobs b WHERE b.digest = unhex(v.column1)`;

/** The binary form of a digest (oci/digest.ts) as hex. */
function binaryHex(digest: Digest): string {
  return `${algorithmOf(digest) === "sha256" ? "01" : "02"}${hexOf(digest)}`;
}

/** The rows of one batch, table by table. */
class Batch {
  readonly #sql: Sql;
  readonly #nowMs: number;
  readonly #repositories = new Map<RepositoryName, number>();
  readonly #blobs = new Map<string, number>();
  readonly #rows: Record<Table, Bindings> = {
    blobs: [],
    layers: [],
    manifests: [],
    named: [],
    tags: [],
    history: [],
    uploads: [],
  };

  constructor(sql: Sql, nowMs: number) {
    this.#sql = sql;
    this.#nowMs = nowMs;
  }

  write(differences: readonly Difference[]): void {
    for (const difference of differences) {
      if (difference.kind === "blob") this.#addBlob(difference);
    }
    // Rows of others refer to those of blobs by number.
    this.#flush("blobs");
    this.#findBlobs(differences);
    for (const difference of differences) this.#add(difference);
    for (const table of ["layers", "manifests", "named", "tags", "history", "uploads"] as const) {
      this.#flush(table);
    }
  }

  #flush(table: Table): void {
    statements[table].run(this.#sql, this.#rows[table]);
  }

  #addBlob({ digest, sizeBytes, modifiedMs }: Of<"blob">): void {
    if (sizeBytes === null) return;
    const since = Math.floor(modifiedMs);
    this.#rows.blobs.push(binaryHex(digest), sizeBytes, blobState.present, since);
  }

  /** The rows of all digests that the differences speak of, made where there are none. */
  #findBlobs(differences: readonly Difference[]): void {
    const digests = [...new Set(differences.flatMap(digestsIn))];
    for (let start = 0; start < digests.length; start += rowsAtOnce) {
      const page: (string | null)[] = digests.slice(start, start + rowsAtOnce);
      while (page.length < rowsAtOnce) page.push(null);
      const found = this.#sql.all<{ digest: string; id: number }>(findMany, ...page);
      for (const { digest, id } of found) this.#blobs.set(digest, id);
    }
    for (const digest of digests) {
      if (this.#blobs.has(digest)) continue;
      const id = this.#sql.insert("INSERT INTO blobs (digest) VALUES (unhex(?))", digest);
      this.#blobs.set(digest, id);
    }
  }

  #add(difference: Difference): void {
    const rows = this.#rows;
    switch (difference.kind) {
      case "blob":
        break;
      case "layer":
        rows.layers.push(this.#repository(difference), this.#blob(difference.digest));
        break;
      case "revision":
        this.#addRevision(difference);
        break;
      case "tag": {
        if (difference.digest === null) break;
        const key = [this.#repository(difference), difference.tag, this.#blob(difference.digest)];
        rows.tags.push(...key, this.#nowMs);
        rows.history.push(...key);
        break;
      }
      case "tag-history": {
        const { tag, digest } = difference;
        rows.history.push(this.#repository(difference), tag, this.#blob(digest));
        break;
      }
      case "upload": {
        const { id, startedAtMs } = difference;
        const startedAt = startedAtMs ?? this.#nowMs;
        const touchedAt = Math.min(startedAt, this.#nowMs);
        rows.uploads.push(id, this.#repository(difference), startedAt, touchedAt);
        break;
      }
    }
  }

  #addRevision(revision: Of<"revision">): void {
    const { manifest } = revision;
    const id = this.#blob(revision.digest);
    const content =
      manifest !== null ? "read" : revision.sizeBytes === null ? "absent" : "unreadable";
    const annotations = manifest?.annotations ?? null;
    const subject = manifest?.subject ?? null;
    this.#rows.manifests.push(
      this.#repository(revision),
      id,
      manifest?.mediaType ?? mediaTypes.octetStream,
      subject === null ? null : this.#blob(subject),
      manifest?.artifactType ?? null,
      annotations === null ? null : JSON.stringify(annotations),
      this.#nowMs,
      manifestContent[content],
    );
    for (const reference of manifest?.references ?? []) {
      this.#rows.named.push(id, this.#blob(reference.digest), namedKind[reference.kind]);
    }
  }

  #repository({ repository }: { readonly repository: RepositoryName }): number {
    let id = this.#repositories.get(repository);
    if (id === undefined) {
      id = ensureRepository(this.#sql, repository);
      this.#repositories.set(repository, id);
    }
    return id;
  }

  #blob(digest: Digest): number {
    const id = this.#blobs.get(binaryHex(digest));
    if (id === undefined) throw new Error(`${digest} was not looked up`);
    return id;
  }
}

/** The digests that a difference's rows refer to, in binary form as hex. */
function digestsIn(difference: Difference): string[] {
  if (difference.kind === "blob" || difference.kind === "upload") return [];
  const { digest } = difference;
  const own = digest === null ? [] : [binaryHex(digest)];
  if (difference.kind !== "revision" || difference.manifest === null) return own;
  const { references, subject } = difference.manifest;
  for (const reference of references) own.push(binaryHex(reference.digest));
  if (subject !== null) own.push(binaryHex(subject));
  return own;
}

/** How many of the differences were taken in: all of them. */
export function absorbFirst(sql: Sql, differences: readonly Difference[], nowMs: number): number {
  deferCount(sql);
  new Batch(sql, nowMs).write(differences);
  return differences.length;
}
