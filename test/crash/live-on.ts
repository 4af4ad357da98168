// What goes on after a death: clients take up what they had begun, the comparison takes in what nobody
// knows of, a collection finishes; then everything is pushed, pulled, deleted and collected once more.
// A registry that a death has bent shows it here.
import {
  BlobUnknownError,
  BlobUploadUnknownError,
  DigestInvalidError,
} from "../../src/oci/index.ts";
import { repositoriesRoot } from "../../src/storage/layout.ts";
import { checkInvariants, checkNothingElse, checkPull, type Violations } from "./check-world.ts";
import { blobBytes } from "./content.ts";
import type { OpenUpload } from "./expectation.ts";
import { Journal } from "./journal.ts";
import { collect, expireUploads, once, runSteps } from "./run-steps.ts";
import { everything, type Script, type Step } from "./steps.ts";
import { knownBlobs, knownRepositories, storedBlobs, storedUploads } from "./stored-tree.ts";
import { caller, type World } from "./world.ts";

/** The uploads that were under way are continued from where they stand, and end as their blobs. */
export async function continueUploads(
  world: World,
  uploads: readonly OpenUpload[],
  options: { readonly bytesMayBeLost: boolean },
): Promise<Violations> {
  const wrong: string[] = [];
  for (const upload of uploads) wrong.push(...(await continueUpload(world, upload, options)));
  return wrong;
}

async function continueUpload(
  { services: { uploads, blobs } }: World,
  upload: OpenUpload,
  options: { readonly bytesMayBeLost: boolean },
): Promise<Violations> {
  const { repository, id, digest, acknowledgedBytes, finishing } = upload;
  const bytes = blobBytes(digest);
  try {
    const { sizeBytes } = await uploads.status({ repository, id, caller, user: caller });
    // Once it is being finished its file may have become the blob's already: then it begins again.
    if (
      sizeBytes < acknowledgedBytes &&
      !options.bytesMayBeLost &&
      !(finishing && sizeBytes === 0)
    ) {
      return [`upload ${id} has ${sizeBytes} bytes, acknowledged were ${acknowledgedBytes}`];
    }
    const body = { stream: once(bytes.subarray(sizeBytes)), from: sizeBytes, lengthBytes: null };
    await uploads.finish({ repository, id, caller, user: caller }, digest, body);
  } catch (error) {
    // A power cut may leave bytes torn; the client is told, and sends them again.
    if (options.bytesMayBeLost && error instanceof DigestInvalidError) return [];
    if (!(error instanceof BlobUploadUnknownError)) throw error;
    if (!finishing) return [`upload ${id} is gone, and nobody had finished it`];
  }
  try {
    await blobs.find(repository, digest);
    return [];
  } catch (error) {
    if (!(error instanceof BlobUnknownError)) throw error;
    return [`upload ${id} was finished, and ${digest} is not there`];
  }
}

/** What the comparison does after a start, as far as a death leaves anything to it. */
export async function takeInUnknown(world: World): Promise<void> {
  const { index, storage, clock } = world;
  const facts = await knownBlobs(index);
  const nowMs = clock.now();
  for (const [digest, bytes] of await storedBlobs(storage)) {
    if (facts.has(digest)) continue;
    const blob = { kind: "blob", digest, sizeBytes: bytes.length, modifiedMs: nowMs } as const;
    await index.absorb([blob], { nowMs, recheck: true });
  }
  for (const [id, repository] of await storedUploads(storage)) {
    if ((await index.findUpload(repository, id)) !== null) continue;
    const upload = { kind: "upload", repository, id, startedAtMs: nowMs } as const;
    await index.absorb([upload], { nowMs, recheck: true });
  }
}

/** Leases and uploads are over; a collection leaves exactly what the manifests need (INV-3, INV-6). */
export async function finishCollection(
  world: World,
  options: { readonly untagged: boolean } = { untagged: false },
): Promise<Violations> {
  const { clock } = world;
  // Bytes and sessions that no fact speaks of are taken in.
  if (world.compare === null) await takeInUnknown(world);
  else await world.compare();
  clock.passGrace();
  await expireUploads(world);
  await collect(world, options.untagged);
  return [...(await checkInvariants(world)), ...(await checkNothingElse(world))];
}

/** All images can be pushed again and pulled, and when all are deleted nothing at all is left. */
export async function pushAndDeleteEverything(world: World): Promise<Violations> {
  await runSteps(world, everything, new Journal());
  await world.follower.catchUp();
  const wrong = [...(await checkInvariants(world))];
  for (const step of everything) {
    if (step.kind === "put-manifest") wrong.push(...(await checkPull(world, step)));
  }
  await runSteps(world, await deletions(world), new Journal());
  world.clock.passGrace();
  await collect(world, true);
  wrong.push(...(await checkNothingElse(world)));
  for await (const { name } of world.storage.list(repositoriesRoot)) {
    wrong.push(`the directory of the emptied repository ${name} is left`);
  }
  return wrong;
}

async function deletions({ index }: World): Promise<Script> {
  return (await knownRepositories(index)).flatMap(({ repository, facts }) =>
    [...facts.revisions].map((digest): Step => ({ kind: "delete-manifest", repository, digest })),
  );
}
