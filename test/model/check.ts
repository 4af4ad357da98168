// Compares the registry with the model: every answer a client can get, byte for byte; and, where the tree
// has caught up, every link, every blob and every directory.
import { expect } from "bun:test";
import {
  BlobUnknownError,
  type Digest,
  ManifestUnknownError,
  NameUnknownError,
} from "../../src/oci/index.ts";
import type { Storage } from "../../src/registry/ports/storage.ts";
import { checkInvariants } from "../crash/check-world.ts";
import {
  knownBlobs,
  knownRepositories,
  prefixesOf,
  storedBlobs,
  storedLinks,
} from "../crash/stored-tree.ts";
import type { World } from "../crash/world.ts";
import type { Both } from "./client.ts";
import { allDigests, bytesOf, contents, nameOf, repositories, tags } from "./content.ts";
import { linksOf, type Model } from "./model.ts";
import type { ModelDeletion } from "./model-deletions.ts";

const prefixes = prefixesOf(allDigests);

/** What a client sees: everything in the model can be pulled, and nothing else. */
export async function expectSameAnswers({ model, real }: Both): Promise<void> {
  const seen: Record<string, string> = {};
  const wanted: Record<string, string> = {};
  for (const name of repositories) {
    const here = model.at(name);
    for (const content of contents) {
      const key = `${name}: ${content.name}`;
      wanted[key] = here.manifests.has(content.digest) ? "there" : "404";
      seen[key] = await manifestAt(real.world, name, content.digest);
    }
    for (const tag of tags) {
      const target = here.tags.get(tag);
      wanted[`${name}:${tag}`] = target === undefined ? "404" : nameOf(target);
      seen[`${name}:${tag}`] = await tagAt(real.world, name, tag);
    }
    for (const digest of allDigests) {
      const key = `${name}: blob ${nameOf(digest)}`;
      wanted[key] = here.holds(digest) ? "there" : "404";
      seen[key] = await blobAt(real.world, name, digest);
    }
    wanted[`${name}: tags`] = model.repositories.has(name) ? sorted(here.tags.keys()) : "404";
    seen[`${name}: tags`] = await tagsOf(real.world, name);
    for (const { digest, name: subject } of contents) {
      const key = `${name}: referrers of ${subject}`;
      const hanging = [...here.manifests.values()].filter((one) => one.subject === digest);
      wanted[key] = sorted(hanging.map((one) => one.digest));
      seen[key] = await referrersOf(real.world, name, digest);
    }
  }
  const filled = [...model.repositories].filter(([, { manifests }]) => manifests.size > 0);
  wanted["catalogue"] = sorted(filled.map(([name]) => name));
  wanted["deletions"] = sorted(model.deletions.list.map(deletionText));
  const { deletions } = real.world.services;
  const listed = await deletions.list({ after: null, limit: 1_000 });
  seen["deletions"] = sorted(
    listed.map((one) =>
      deletionText({ ...one, tag: one.what === "tag" ? (one.tags[0] ?? null) : null }),
    ),
  );
  const { catalog } = real.world.services;
  seen["catalogue"] = (await catalog.listRepositories({ after: null, limit: 100 })).join(" ");
  expect(seen).toEqual(wanted);
  expectWhole(model);
}

function deletionText({
  repository,
  digest,
  tag,
  tags: own,
}: Pick<ModelDeletion, "repository" | "digest" | "tag" | "tags">): string {
  return `${repository} ${nameOf(digest)} ${tag} [${sorted(own)}];`;
}

/** INV-4 and INV-6, by the model: all that is accepted has its blobs. Children a client may delete. */
function expectWhole(model: Model): void {
  for (const here of model.repositories.values()) {
    for (const content of here.manifests.values()) {
      for (const digest of content.blobs) {
        expect(here.holds(digest) && model.stored.has(digest), content.name).toBe(true);
      }
    }
  }
}

function sorted(names: Iterable<string>): string {
  return [...names].sort().join(" ");
}

/** "404" where the registry does not know it; anything else but the content is a failure. */
async function orUnknown(ask: () => Promise<string>): Promise<string> {
  try {
    return await ask();
  } catch (error) {
    const isAnswer =
      error instanceof BlobUnknownError ||
      error instanceof ManifestUnknownError ||
      error instanceof NameUnknownError;
    if (!isAnswer) throw error;
    return "404";
  }
}

function thereIf(bytes: Uint8Array, digest: Digest): string {
  return Buffer.compare(bytes, bytesOf(digest)) === 0 ? "there" : "altered";
}

type At = Parameters<World["services"]["blobs"]["find"]>;

function manifestAt({ services }: World, ...[name, digest]: At): Promise<string> {
  return orUnknown(async () => thereIf((await services.manifests.get(name, digest)).bytes, digest));
}

function tagAt({ services }: World, name: At[0], tag: (typeof tags)[number]): Promise<string> {
  return orUnknown(async () => nameOf((await services.manifests.get(name, tag)).digest));
}

function blobAt({ services }: World, ...[name, digest]: At): Promise<string> {
  return orUnknown(async () => {
    const body = await services.blobs.read(await services.blobs.find(name, digest));
    return thereIf(body instanceof Uint8Array ? body : await new Response(body).bytes(), digest);
  });
}

function tagsOf({ services }: World, name: At[0]): Promise<string> {
  return orUnknown(async () => {
    return (await services.catalog.listTags(name, { after: null, limit: 100 })).join(" ");
  });
}

async function referrersOf({ services }: World, ...[name, digest]: At): Promise<string> {
  const page = { after: null, limit: 100, artifactType: null };
  return sorted(
    (await services.manifests.listReferrers(name, digest, page)).map((one) => one.digest),
  );
}

/** Once the tree has caught up: exactly the model's links, bytes, uploads and directories. */
export async function expectSameTree({ model, real }: Both): Promise<void> {
  const { index, storage, follower, services } = real.world;
  await services.uploads.settle();
  await follower.catchUp();
  const excused = childrenDeleted(model);
  const wrong = await checkInvariants(real.world, prefixes);
  expect(wrong.filter((violation) => !excused.has(violation))).toEqual([]);
  expect(entries(await storedLinks(storage))).toEqual(entries(linksOf(model)));
  expect(sorted((await knownBlobs(index, prefixes)).keys())).toBe(sorted(model.stored));
  const bytes = await storedBlobs(storage);
  const condemned = [...model.condemned].filter((digest) => bytes.has(digest));
  expect(sorted(bytes.keys())).toBe(sorted([...model.stored, ...condemned]));
  const known = await knownRepositories(index);
  expect(sorted(known.map(({ repository }) => repository))).toBe(sorted(model.repositories.keys()));
  for (const { repository, facts } of known) {
    expect(sorted(facts.uploads)).toBe(sorted(model.at(repository).uploads));
  }
}

/** What clients may do and INV-4 alone would not: delete a child of an index that stays. */
function childrenDeleted(model: Model): Set<string> {
  const violations = new Set<string>();
  for (const [name, here] of model.repositories) {
    for (const { digest, children } of here.manifests.values()) {
      for (const child of children.filter((one) => !here.holds(one))) {
        violations.add(`INV-4: ${digest} in ${name} lacks ${child}`);
      }
    }
  }
  return violations;
}

function entries(links: ReadonlyMap<string, string>): string[] {
  return [...links].map(([path, digest]) => `${path} ${digest}`).sort();
}

/**
 * After a collection: no repository's directory that holds nothing, no blob's directory without data. But
 * for the directories of uploads that are open, and those that are shared by many blobs.
 */
export async function expectNoEmptyDirectories({ model, real: { world } }: Both): Promise<void> {
  const left: string[] = [];
  await findEmpty(world.storage, "/docker/registry/v2/repositories", left);
  await findEmpty(world.storage, "/docker/registry/v2/blobs/sha256", left);
  const open = [...model.repositories.values()].flatMap(({ uploads }) => [...uploads]);
  const mayStay = (path: string): boolean =>
    /\/(repositories|blobs\/sha256(\/..)?)$/.test(path) ||
    open.some((id) => path.endsWith(`/_uploads/${id}`)) ||
    // An upload whose process died before it made a directory; what the one before it made is left.
    [...model.repositories].some(
      ([name, { uploads }]) => uploads.size > 0 && path.endsWith(`/repositories/${name}`),
    ) ||
    // A kill may leave the first; the second stays for the classic's sake. Both go with the repository.
    [...model.repositories.keys()].some((name) =>
      ["_uploads", "_manifests/tags"].some((part) =>
        path.endsWith(`/repositories/${name}/${part}`),
      ),
    );
  expect(left.filter((path) => !mayStay(path))).toEqual([]);
}

async function findEmpty(storage: Storage, path: string, left: string[]): Promise<void> {
  let isEmpty = true;
  for await (const { name, kind } of storage.list(path)) {
    isEmpty = false;
    if (kind === "directory") await findEmpty(storage, `${path}/${name}`, left);
  }
  if (isEmpty) left.push(path);
}
