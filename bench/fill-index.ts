// Fills an index with a registry that does not exist: images of ten blobs with random digests, written
// row by row in SQL, and garbage that does exist, so that it can be removed. Only for benches.
import { Database } from "bun:sqlite";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { type Digest, digestFromBytes, type RepositoryName } from "../src/oci/index.ts";
import { openIndex } from "../src/index/sqlite-index.ts";
import { blobDataPath } from "../src/storage/layout.ts";

const blobsPerImage = 10;
const imagesPerRepository = 100;

export function indexPathOf(root: string): string {
  return join(root, "plimsoll", "index.db");
}

/** Makes the index of a registry with so many blobs, a tag on each image. */
export async function fillIndex(root: string, blobs: number): Promise<void> {
  await makeIndex(root);
  const images = Math.floor(blobs / blobsPerImage);
  const database = new Database(indexPathOf(root));
  const rows = (into: string, count: number, select: string): void => {
    database.run(`INSERT INTO ${into}
      WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})
      SELECT ${select}`);
  };
  database.run("PRAGMA synchronous = OFF; BEGIN");
  // What they use is counted when the index is opened, as after any bulk write.
  database.run(
    "UPDATE usage_totals SET counted_repository = 0, counted_manifest = 0, summed_repository = 0",
  );
  rows(
    "blobs (id, digest, size, state)",
    images * blobsPerImage,
    "i + 1, CAST(x'01' || randomblob(32) AS BLOB), 1000, 1 FROM n",
  );
  rows(
    "repositories (id, name)",
    Math.ceil(images / imagesPerRepository),
    "i + 1, 'r/' || i FROM n",
  );
  const manifest = `i * ${blobsPerImage} + 1`;
  const repository = `i / ${imagesPerRepository} + 1`;
  rows(
    "manifests (repository_id, blob_id, media_type, pushed_at)",
    images,
    `${repository}, ${manifest}, 'application/vnd.oci.image.manifest.v1+json', 0 FROM n`,
  );
  rows(
    "tags (repository_id, name, blob_id, moved_at)",
    images,
    `${repository}, 't' || i, ${manifest}, 0 FROM n`,
  );
  // Of each image all blobs but the first, which is its manifest.
  const others = images * blobsPerImage;
  const isOther = `FROM n WHERE i % ${blobsPerImage} <> 0`;
  rows(
    "named (manifest_id, blob_id, kind)",
    others,
    `i - i % ${blobsPerImage} + 1, i + 1, 1 ${isOther}`,
  );
  rows(
    "layers (repository_id, blob_id)",
    others,
    `i / ${blobsPerImage * imagesPerRepository} + 1, i + 1 ${isOther}`,
  );
  database.run("COMMIT");
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

/** An empty index that counts as complete. */
async function makeIndex(root: string): Promise<void> {
  const index = await openIndex(indexPathOf(root), root);
  await index.markComplete();
  await index.close();
}

export interface FilledImage {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

/** Some of the images, with files for their blobs. */
export function imagesWithFiles(root: string, numbers: readonly number[]): FilledImage[] {
  const database = new Database(indexPathOf(root), { readonly: true });
  const digests = database.query<{ digest: Uint8Array }, [number, number]>(
    "SELECT digest FROM blobs WHERE id BETWEEN ? AND ? ORDER BY id",
  );
  const images = numbers.map((n) => {
    const first = n * blobsPerImage + 1;
    const blobs = digests.all(first, first + blobsPerImage - 1);
    const [manifest, ...others] = blobs.map(({ digest }) => digestFromBytes(digest));
    if (manifest === undefined) throw new Error(`there is no image ${n}`);
    for (const digest of [manifest, ...others]) writeBlob(root, digest);
    return {
      repository: `r/${Math.floor(n / imagesPerRepository)}` as RepositoryName,
      digest: manifest,
    };
  });
  database.close();
  return images;
}

function writeBlob(root: string, digest: Digest): void {
  const path = join(root, blobDataPath(digest));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "x".repeat(1000));
}

/** So many blobs that nothing holds, due at once, with their files; nobody else may have the index open. */
export async function addGarbage(root: string, count: number): Promise<void> {
  await makeIndex(root);
  const database = new Database(indexPathOf(root));
  database.run("PRAGMA synchronous = OFF; BEGIN");
  const insert = database.query<{ id: number }, [Uint8Array]>(
    "INSERT INTO blobs (digest, size, state) VALUES (?, 1000, 1) RETURNING id",
  );
  const enqueue = database.query<null, [number]>(
    "INSERT INTO blob_candidates (repository_id, blob_id, due_at) VALUES (0, ?, 0)",
  );
  for (let n = 0; n < count; n++) {
    const digest = new Uint8Array(33);
    digest[0] = 1;
    crypto.getRandomValues(digest.subarray(1));
    enqueue.run(insert.get(digest)?.id ?? 0);
    writeBlob(root, digestFromBytes(digest));
  }
  database.run("COMMIT");
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}
