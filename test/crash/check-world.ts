// What must hold in a registry that was opened again after a death. Every check returns what it found
// wrong, in words, so that a failing test names the invariant and the place.
import {
  type Digest,
  digestOf,
  manifestBytesMax,
  type ManifestReference,
  ManifestUnknownError,
  NameUnknownError,
  BlobUnknownError,
  parseManifest,
} from "../../src/oci/index.ts";
import type { Storage } from "../../src/registry/ports/storage.ts";
import { blobDataPath } from "../../src/storage/layout.ts";
import { artifactOf, blobBytes } from "./content.ts";
import type { Expectation, InRepository } from "./expectation.ts";
import { knownBlobs, type KnownRepository, knownRepositories, linksOf } from "./stored-tree.ts";
import { storedBlobs, storedLinks } from "./stored-tree.ts";
import type { World } from "./world.ts";

export type Violations = readonly string[];

/**
 * INV-1 to INV-4 on a registry whose redo records have been applied. `prefixes`: of all digests that there
 * can be, where they are known.
 */
export async function checkInvariants(
  world: World,
  prefixes?: Iterable<string>,
): Promise<Violations> {
  const { index, storage } = world;
  const known = await knownRepositories(index);
  const facts = await knownBlobs(index, prefixes);
  const stored = await storedBlobs(storage);
  return [
    ...checkBytes(facts, stored),
    ...checkLinks(linksOf(known), await storedLinks(storage)),
    ...(await checkContents(world, known)),
    ...(await checkTotals(world, facts)),
  ];
}

function checkBytes(
  facts: ReadonlyMap<Digest, number>,
  stored: ReadonlyMap<Digest, Uint8Array>,
): Violations {
  const wrong: string[] = [];
  for (const [digest, size] of facts) {
    const bytes = stored.get(digest);
    if (bytes === undefined) wrong.push(`INV-1: ${digest} is a fact and has no bytes`);
    else if (bytes.length !== size) wrong.push(`INV-1: ${digest} has not the size of its fact`);
    else if (digestOf(bytes) !== digest) wrong.push(`INV-1: ${digest} has other bytes`);
  }
  return wrong;
}

function checkLinks(
  wanted: ReadonlyMap<string, string>,
  stored: ReadonlyMap<string, string>,
): Violations {
  const wrong: string[] = [];
  for (const [path, digest] of wanted) {
    const found = stored.get(path);
    if (found !== digest) wrong.push(`INV-2: ${path} holds ${found ?? "nothing"}, not ${digest}`);
  }
  for (const path of stored.keys()) {
    if (!wanted.has(path)) wrong.push(`INV-2: ${path} is there, and no fact says so`);
  }
  return wrong;
}

async function checkContents(
  { index, storage }: World,
  known: readonly KnownRepository[],
): Promise<Violations> {
  const wrong: string[] = [];
  for (const { repository, facts } of known) {
    for (const digest of facts.tags.values()) {
      if (!facts.revisions.has(digest)) wrong.push(`INV-4: a tag of ${repository} names ${digest}`);
    }
    for (const revision of facts.revisions) {
      for (const { digest, kind } of await referencesOf(storage, revision)) {
        if (kind === "subject") continue;
        const found = await index.findBlob(repository, digest);
        const there = await storage.stat(blobDataPath(digest));
        if (found === null || there === null) {
          wrong.push(`INV-4: ${revision} in ${repository} lacks ${digest}`);
        }
      }
    }
  }
  return wrong;
}

/** None where the bytes are gone: that is said elsewhere. */
async function referencesOf(
  storage: Storage,
  manifest: Digest,
): Promise<readonly ManifestReference[]> {
  const bytes = await storage.readSmall(blobDataPath(manifest), manifestBytesMax);
  return bytes === null ? [] : parseManifest(bytes, "").references;
}

async function checkTotals(
  { index }: World,
  facts: ReadonlyMap<Digest, number>,
): Promise<Violations> {
  const totals = await index.totals();
  const bytes = [...facts.values()].reduce((sum, size) => sum + size, 0);
  if (totals.blobs === facts.size && totals.blobBytes === bytes) return [];
  return [
    `the totals say ${JSON.stringify(totals)}, the facts ${facts.size} blobs, ${bytes} bytes`,
  ];
}

/**
 * INV-3: a killed collection leaves bytes that are condemned still, for the next one. Bytes that nobody
 * knows of can only be those of pushes that were under way.
 */
export async function checkUnknownBytes(
  { index, storage }: World,
  underWay: ReadonlySet<Digest>,
): Promise<Violations> {
  const facts = await knownBlobs(index);
  const wrong: string[] = [];
  for (const digest of (await storedBlobs(storage)).keys()) {
    if (facts.has(digest) || underWay.has(digest) || (await index.isCondemned(digest))) continue;
    wrong.push(`INV-3: nobody knows of the bytes of ${digest}`);
  }
  return wrong;
}

/** What was acknowledged, through the services, byte for byte. */
export async function checkExpectation(
  world: World,
  expectation: Expectation,
): Promise<Violations> {
  const wrong: string[] = [];
  for (const [{ repository, tag }, targets] of expectation.tags) {
    const target = (await world.index.findTag(repository, tag))?.digest ?? null;
    if (!targets.has(target)) {
      const wanted = [...targets].map((digest) => digest ?? "nothing").join(" or ");
      wrong.push(`${repository}:${tag} is ${target ?? "nothing"}, acknowledged was ${wanted}`);
    }
    if (target !== null) wrong.push(...(await checkPull(world, { repository, digest: target })));
  }
  for (const [key, presence] of expectation.manifests) {
    if (presence === "there") wrong.push(...(await checkPull(world, key)));
    if (presence === "gone" && (await isThere(world, key))) {
      wrong.push(`${key.digest} in ${key.repository} was deleted and is there again`);
    }
  }
  for (const [key, presence] of expectation.blobs) {
    if (presence === "there") wrong.push(...(await checkBlob(world, key)));
    if (presence === "gone" && (await checkBlob(world, key)).length === 0) {
      wrong.push(`blob ${key.digest} in ${key.repository} was deleted and is there again`);
    }
  }
  return wrong;
}

async function isThere(
  { services }: World,
  { repository, digest }: InRepository,
): Promise<boolean> {
  try {
    await services.manifests.find(repository, digest);
    return true;
  } catch (error) {
    if (error instanceof ManifestUnknownError || error instanceof NameUnknownError) return false;
    throw error;
  }
}

/** The manifest and all below it. */
export async function checkPull(world: World, key: InRepository): Promise<Violations> {
  const { repository, digest } = key;
  if (!(await isThere(world, key))) return [`${digest} in ${repository} cannot be pulled`];
  const { manifests } = world.services;
  const { bytes } = await manifests.get(repository, digest);
  const artifact = artifactOf(digest);
  const wrong = Buffer.compare(bytes, artifact.bytes) === 0 ? [] : [`${digest} has other bytes`];
  for (const blob of artifact.blobs) {
    wrong.push(...(await checkBlob(world, { repository, digest: blob })));
  }
  for (const child of artifact.children) {
    wrong.push(...(await checkPull(world, { repository, digest: child })));
  }
  return wrong;
}

async function checkBlob(
  { services: { blobs } }: World,
  { repository, digest }: InRepository,
): Promise<Violations> {
  try {
    const body = await blobs.read(await blobs.find(repository, digest));
    const bytes = await new Response(body).bytes();
    if (Buffer.compare(bytes, blobBytes(digest)) === 0) return [];
    return [`blob ${digest} in ${repository} has other bytes`];
  } catch (error) {
    if (!(error instanceof BlobUnknownError)) throw error;
    return [`blob ${digest} in ${repository} cannot be pulled`];
  }
}

/** Exactly what the manifests that are there need, in the index and in the tree. */
export async function checkNothingElse(
  world: World,
  prefixes?: Iterable<string>,
): Promise<Violations> {
  const { index, storage } = world;
  const needed = new Set<Digest>();
  const wrong: string[] = [];
  for (const { repository, facts } of await knownRepositories(index)) {
    const neededHere = new Set<Digest>();
    for (const revision of facts.revisions) {
      for (const { digest, kind } of await referencesOf(storage, revision)) {
        if (kind === "blob") neededHere.add(digest);
      }
      needed.add(revision);
    }
    for (const digest of neededHere) needed.add(digest);
    wrong.push(...differences(`links of ${repository}`, facts.layers, neededHere));
    if (facts.revisions.size === 0) wrong.push(`${repository} is empty and is still known`);
    if (facts.uploads.size > 0) wrong.push(`${repository} has uploads left`);
  }
  const facts = new Set((await knownBlobs(index, prefixes)).keys());
  const stored = new Set((await storedBlobs(storage)).keys());
  wrong.push(...differences("facts", facts, needed), ...differences("bytes", stored, needed));
  const condemned = await index.listCondemned({ after: null, limit: 100 });
  if (condemned.length > 0) wrong.push(`INV-3: ${condemned.length} condemned blobs are left`);
  return wrong;
}

function differences(
  what: string,
  found: ReadonlySet<Digest>,
  needed: ReadonlySet<Digest>,
): Violations {
  return [
    ...[...needed.difference(found)].map((digest) => `${what}: ${digest} is needed and gone`),
    ...[...found.difference(needed)].map((digest) => `${what}: ${digest} is left over`),
  ];
}
