// The scene of one race: something on its way out in one repository or in two, an image beside it that
// stays, and a registry whose collector and whose requests can be stopped at any call of their ports.
import { createUnhurriedIndex } from "./unhurried-index.ts";
import {
  BlobUnknownError,
  type Digest,
  ManifestBlobUnknownError,
  type RepositoryName,
  type Tag,
} from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import type { Storage } from "../../src/registry/ports/storage.ts";
import { repositoriesRoot } from "../../src/storage/layout.ts";
import { MemoryStorage } from "../../src/storage/memory.ts";
import { type Artifact, artifactOf, blobBytes } from "../crash/content.ts";
import { once } from "../crash/run-steps.ts";
import { knownRepositories, storedBlobs } from "../crash/stored-tree.ts";
import { createWorld, TestClock, type World } from "../crash/world.ts";
import { Gates } from "./gate.ts";
import {
  bystander,
  one,
  other,
  type Pushed,
  safe,
  type Shape,
  tags,
  two,
  firstCaller,
} from "./shapes.ts";

export interface Variant {
  readonly shape: Shape;
  readonly callers: 1 | 2;
  readonly repositories: 1 | 2;
}

export interface Scene extends Variant {
  readonly world: World;
  /** Stops the collector and the tree follower. */
  readonly collecting: Gates;
  /** Stops requests. */
  readonly requesting: Gates;
  /** Where what happens meanwhile happens, and who does it. */
  readonly place: RepositoryName;
  readonly caller: string;
  readonly ground: Ground;
  /** What stays whatever happens. */
  readonly stays: readonly Pushed[];
}

/** What outlives a scene. To prepare a new index's statements takes longer than most scenes. */
interface Ground {
  readonly index: Index;
  readonly storage: Storage;
  readonly clock: TestClock;
}

/** Those of scenes that have ended well and have left nothing. */
const grounds: Ground[] = [];

function newGround(): Ground {
  const clock = new TestClock();
  const index = createUnhurriedIndex({ link: () => null, blobSizeBytes: () => null });
  return { index, storage: new MemoryStorage(clock), clock };
}

export async function openScene(variant: Variant): Promise<Scene> {
  const ground = grounds.pop() ?? newGround();
  const { index, storage, clock } = ground;
  const collecting = new Gates();
  const requesting = new Gates();
  const world = createWorld({
    index: requesting.wrap(index),
    storage: requesting.wrap(storage),
    clock,
    beside: { index: collecting.wrap(index), storage: collecting.wrap(storage) },
  });
  const { shape, callers, repositories } = variant;
  await push(world, { repository: safe, artifact: bystander, tag: tags.latest });
  const places = repositories === 1 ? [one] : [one, two];
  for (const repository of places) await pushToDoom(world, repository, shape);
  const { anchor } = shape;
  const anchors =
    anchor === undefined ? [] : places.map((repository) => ({ repository, digest: anchor.digest }));
  return {
    ...variant,
    ground,
    world,
    collecting,
    requesting,
    place: repositories === 1 ? one : two,
    caller: callers === 1 ? firstCaller : "bob",
    stays: [{ repository: safe, digest: bystander.digest }, ...anchors],
  };
}

/** Deletes all that is left, and collects it. What is there then, is found wrong. */
export async function closeScene({ ground, world }: Scene): Promise<readonly string[]> {
  for (const { repository, facts } of await knownRepositories(ground.index)) {
    for (const digest of facts.revisions)
      await world.services.manifests.delete(repository, digest, firstCaller);
  }
  await collect(world);
  const known = await knownRepositories(ground.index);
  const blobs = await storedBlobs(ground.storage);
  const left: string[] = [...known.map(({ repository }) => repository), ...blobs.keys()];
  for await (const { name } of ground.storage.list(repositoriesRoot)) left.push(name);
  if (left.length === 0) grounds.push(ground);
  return left;
}

/** Pushes it and takes away what keeps it. */
async function pushToDoom(world: World, repository: RepositoryName, shape: Shape): Promise<void> {
  const { subject, anchor } = shape;
  const { manifests } = world.services;
  if (anchor !== undefined) await push(world, { repository, artifact: anchor, tag: tags.anchor });
  if (subject === null) {
    await push(world, { repository, artifact: shape.top, tag: tags.doomed });
    await manifests.delete(repository, tags.doomed, firstCaller);
  } else {
    await push(world, { repository, artifact: subject, tag: tags.subject });
    await push(world, { repository, artifact: shape.top, tag: null });
    await manifests.delete(repository, subject.digest, firstCaller);
  }
}

/** An image whose tag is there to be deleted, or to be moved. */
export async function pushKept({ world, place, shape }: Scene, tag: Tag): Promise<void> {
  const artifact = tag === tags.latest ? other : shape.kept;
  await push(world, { repository: place, artifact, tag });
}

export interface Push {
  readonly repository: RepositoryName;
  readonly artifact: Artifact;
  /** Null: by digest. */
  readonly tag: Tag | null;
  readonly caller?: string;
  /** Told to be there, so that no client would look or send it again. */
  readonly known?: readonly Digest[];
}

/** As clients push: they look for each blob, and upload what is not there. @throws when it is refused. */
export async function push(world: World, wanted: Push): Promise<void> {
  const { repository, artifact, caller = firstCaller, known = [] } = wanted;
  const { blobs } = world.services;
  for (const digest of artifact.blobs.filter((blob) => !known.includes(blob))) {
    const there = await isThere(() => blobs.findForPush(repository, digest, caller));
    if (!there) await upload(world, { repository, digest, caller });
  }
  for (const child of artifact.children.map(artifactOf)) {
    await push(world, { ...wanted, artifact: child, tag: null });
  }
  await put(world, wanted);
}

/** The manifest alone. @throws ManifestBlobUnknownError */
export async function put(world: World, wanted: Push): Promise<void> {
  const { repository, artifact, tag, caller = firstCaller } = wanted;
  await world.services.manifests.put({
    repository,
    reference: tag ?? artifact.digest,
    tags: [],
    contentType: artifact.mediaType,
    bytes: artifact.bytes,
    algorithm: "sha256",
    caller,
  });
}

export interface Upload {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly caller: string;
}

/** The session, with all bytes, for `finishUpload`. */
export async function beginUpload(
  world: World,
  { repository, digest, caller }: Upload,
): Promise<string> {
  const { uploads } = world.services;
  const { id } = await uploads.begin(repository, { caller, user: caller, algorithm: "sha256" });
  const stream = once(blobBytes(digest));
  await uploads.append(
    { repository, id, caller, user: caller },
    { stream, from: null, lengthBytes: null },
  );
  return id;
}

export async function upload(world: World, wanted: Upload): Promise<void> {
  await finishUpload(world, wanted, await beginUpload(world, wanted));
}

export async function finishUpload(world: World, wanted: Upload, id: string): Promise<void> {
  const { repository, digest, caller } = wanted;
  await world.services.uploads.finish({ repository, id, caller, user: caller }, digest, null);
}

/** Whether it was granted; false: refused, as a client is that must begin from the start. */
export async function isThere(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    return (await ask()) !== null;
  } catch (error) {
    const refused = error instanceof BlobUnknownError || error instanceof ManifestBlobUnknownError;
    if (!refused) throw error;
    return false;
  }
}

/** As the command line does: now. */
export async function collect(
  { collector }: World,
  options: { readonly full?: boolean } = {},
): Promise<Awaited<ReturnType<World["collector"]["collect"]>>> {
  const { full = false } = options;
  return await collector.collect(
    { dryRun: false, untagged: true, full, foreignGraceMs: 0, listing: "nothing" },
    () => undefined,
  );
}

/** Lets everything that waits for nothing but its turn have it. */
export async function turns(count = 50): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}
