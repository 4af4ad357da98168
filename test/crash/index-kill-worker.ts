// A process to be killed: several clients change an index, each its own repositories, one change after
// the other, and say on stdout what they begin and what was acknowledged. Run by index-kill.test.ts.
import { writeSync } from "node:fs";
import { join } from "node:path";
import { openIndex } from "../../src/index/sqlite-index.ts";
import type { Digest } from "../../src/oci/index.ts";
import type { Index, RepositoryFacts } from "../../src/registry/ports/index.ts";
import { blobNo, contentOf, repo, tag } from "../contract/index/world.ts";

export const clients = 8;

/** What one client does at one time; everything else follows from these three. */
export interface Change {
  readonly client: number;
  readonly kind: "upload" | "put" | "delete-tag" | "delete-manifest" | "condemn" | "forget";
  /** The client's n-th change. */
  readonly n: number;
}

export interface Line {
  readonly says: "begun" | "done";
  readonly change: Change;
}

const kinds = [
  "upload",
  "put",
  "upload",
  "put",
  "delete-tag",
  "condemn",
  "delete-manifest",
  "forget",
] as const;

/** The first change's number: there is a round before it to look back to, in which nothing happened. */
export const firstChange = kinds.length;

/** The last change of the kind before, whose result this one undoes or goes on with. */
function lastOf(kind: Change["kind"], before: number): number {
  let n = before;
  while (kinds[n % kinds.length] !== kind) n--;
  return n;
}

const terms = (graceMs: number) => ({ caller: "me", nowMs: 1_000, graceMs });
const blobOf = ({ client }: Change, n: number): Digest => blobNo(client * 1_000_000 + n);
const tagOf = (n: number): string => `t${n % 3}`;
const contentBy = (change: Change, n: number): ReturnType<typeof contentOf> =>
  contentOf({ config: blobOf(change, lastOf("upload", n)), more: { n } });

/** What is expected of a client's repository. */
export interface State {
  readonly layers: Set<Digest>;
  readonly revisions: Set<Digest>;
  readonly tags: Map<string, Digest>;
}

export function applyTo(state: State, change: Change): void {
  const { kind, n } = change;
  const put = lastOf("put", n);
  const { digest } = contentBy(change, put);
  if (kind === "upload") state.layers.add(blobOf(change, n));
  if (kind === "put") {
    state.revisions.add(digest);
    state.tags.set(tagOf(n), digest);
  }
  if (kind === "delete-tag") state.tags.delete(tagOf(put));
  if (kind === "delete-manifest") {
    state.revisions.delete(digest);
    for (const [name, target] of state.tags) if (target === digest) state.tags.delete(name);
  }
}

export function isAsExpected(facts: RepositoryFacts, state: State): boolean {
  const tags = new Map([...facts.tags].map(([name, digest]) => [String(name), digest]));
  return (
    Bun.deepEquals(new Set(facts.layers), state.layers) &&
    Bun.deepEquals(new Set(facts.revisions), state.revisions) &&
    Bun.deepEquals(tags, state.tags)
  );
}

/** The blob that a client's condemning and forgetting is about: in a repository of its own. */
export const condemnedBlob = (change: Change): Digest => blobOf(change, 500_000);

async function run(index: Index, change: Change): Promise<void> {
  const { client, kind, n } = change;
  const repository = repo(`client-${client}`);
  const content = contentBy(change, lastOf("put", n));
  const upload = (digest: Digest, into: string, graceMs: number): Promise<void> =>
    index.finishUpload({
      id: null,
      repository: repo(into),
      digest,
      sizeBytes: 5,
      terms: terms(graceMs),
    });
  switch (kind) {
    case "upload":
      return await upload(blobOf(change, n), repository, 1_000_000);
    case "put":
      await index.acceptManifest({
        repository,
        digest: content.digest,
        sizeBytes: content.bytes.length,
        manifest: content.manifest,
        tags: [tag(tagOf(n))],
        leaseManifest: false,
        required: content.manifest.references,
        terms: terms(1_000_000),
      });
      return undefined;
    case "delete-tag":
      await index.deleteTag(repository, tag(tagOf(lastOf("put", n))), 1_000);
      return undefined;
    case "delete-manifest":
      await index.deleteManifest(repository, content.digest, 1_000);
      return undefined;
    case "condemn":
      await upload(condemnedBlob(change), `garbage-${client}`, 0);
      await index.condemn([{ repository: null, digest: condemnedBlob(change) }], {
        nowMs: 9_000,
        foreignGraceMs: 0,
      });
      return undefined;
    case "forget":
      return await index.forget([condemnedBlob(change)]);
  }
}

function say(line: Line): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

async function runClient(index: Index, client: number, first: number): Promise<void> {
  for (let n = first; ; n++) {
    const change: Change = { client, kind: kinds[n % kinds.length] ?? "upload", n };
    say({ says: "begun", change });
    await run(index, change);
    say({ says: "done", change });
  }
}

if (import.meta.main) {
  const [root = "", ...firsts] = process.argv.slice(2);
  const index = await openIndex(join(root, "index.db"), root);
  await Promise.all(firsts.map((first, client) => runClient(index, client, Number(first))));
}
