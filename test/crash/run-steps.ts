// Carries out steps on a registry, and writes down which were acknowledged. A step that is refused where
// it must not be makes it throw.
import {
  BlobUnknownError,
  type Digest,
  DigestInvalidError,
  digestOf,
  type RepositoryName,
} from "../../src/oci/index.ts";
import { artifactOf, blobBytes } from "./content.ts";
import type { Journal } from "./journal.ts";
import type { Script, Step } from "./steps.ts";
import { letGo } from "../retention/let-go.ts";
import { UploadExpiry } from "../../src/registry/upload-expiry.ts";
import { caller, graceMs, keepDeletedMs, type World } from "./world.ts";

const actor = { caller, from: "a test" };

export async function runSteps(world: World, script: Script, journal: Journal): Promise<void> {
  for (const step of script) {
    if (step.kind === "together") {
      await all(step.branches.map((branch) => runInOrder(world, branch, journal)));
    } else {
      await runInOrder(world, [step], journal);
    }
    if (!world.runsBeside) await world.services.uploads.settle();
  }
}

async function runInOrder(world: World, steps: readonly Step[], journal: Journal): Promise<void> {
  for (const step of steps) {
    const number = journal.begin(step);
    await perform(world, step, { journal, number });
    journal.write({ at: "end", number });
  }
}

/** Null: it came to its end. */
export async function failureOf(work: Promise<void>): Promise<Error | null> {
  try {
    await work;
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Waits for all, so that nothing goes on behind a failure; then throws the first. */
async function all(waiting: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(waiting);
  for (const result of results) if (result.status === "rejected") throw result.reason as Error;
}

interface Noting {
  readonly journal: Journal;
  readonly number: number;
}

async function perform(world: World, step: Step, noting: Noting): Promise<void> {
  const { services, clock, follower } = world;
  switch (step.kind) {
    case "push-blob":
      await pushBlob(world, step, noting);
      break;
    case "mount": {
      const mounted = await services.blobs.mount({ ...step, caller });
      if (mounted === null) throw new Error(`${step.digest} could not be mounted`);
      break;
    }
    case "put-manifest":
      await putManifest(world, step);
      break;
    case "delete-tag":
      await services.manifests.delete(step.repository, step.tag, caller);
      break;
    case "delete-manifest":
      await services.manifests.delete(step.repository, step.digest, caller);
      break;
    case "retain":
      await letGo({ ...step, index: world.index, clock }, true);
      break;
    case "delete-image":
      await services.deletions.deleteImage(step, { ...actor, reason: "test" });
      break;
    case "restore":
      await restore(world, step);
      break;
    case "delete-blob":
      await services.blobs.delete(step.repository, step.digest, caller);
      break;
    case "wrong-upload":
      await refuseUpload(world, step.repository);
      break;
    case "cancelled-upload":
      await cancelUpload(world, step.repository);
      break;
    case "abandoned-upload":
      await abandonUpload(world, step.repository);
      break;
    case "expire-uploads":
      await expireUploads(world);
      break;
    case "collect":
      await collect(world, step.untagged, step.keeps === true ? keepDeletedMs : 0);
      break;
    case "follow":
      await follower.catchUp();
      break;
    case "pass-grace":
      clock.passGrace();
      break;
  }
}

async function pushBlob(
  { services }: World,
  { repository, digest }: { readonly repository: RepositoryName; readonly digest: Digest },
  { journal, number }: Noting,
): Promise<void> {
  const { blobs, uploads } = services;
  try {
    await blobs.findForPush(repository, digest, caller);
    return;
  } catch (error) {
    if (!(error instanceof BlobUnknownError)) throw error;
  }
  const { id } = await uploads.begin(repository, { caller, user: caller, algorithm: "sha256" });
  journal.write({ at: "upload", number, id });
  const bytes = blobBytes(digest);
  const half = Math.ceil(bytes.length / 2);
  for (const part of [bytes.subarray(0, half), bytes.subarray(half)]) {
    const upload = { repository, id, caller, user: caller };
    const { sizeBytes } = await uploads.append(upload, {
      stream: once(part),
      from: null,
      lengthBytes: part.length,
    });
    journal.write({ at: "stored", number, sizeBytes });
  }
  journal.write({ at: "finishing", number });
  await uploads.finish({ repository, id, caller, user: caller }, digest, null);
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function putManifest(
  { services }: World,
  step: Extract<Step, { kind: "put-manifest" }>,
): Promise<void> {
  const { mediaType, bytes } = artifactOf(step.digest);
  const [first, ...more] = step.tags;
  await services.manifests.put({
    repository: step.repository,
    reference: first ?? step.digest,
    tags: more,
    contentType: mediaType,
    bytes,
    algorithm: "sha256",
    caller,
  });
}

async function restore(
  { services }: World,
  { repository, digest, tags }: Extract<Step, { kind: "restore" }>,
): Promise<void> {
  const options = { actor, forceTags: false, dryRun: false };
  const report = await services.restores.restore({ repository, digest }, options);
  if (report.outcome !== "restored" || report.tags.join() !== tags.join()) {
    throw new Error(`${digest} was not restored: ${JSON.stringify(report)}`);
  }
}

const wrongBytes = Buffer.from("not what was announced");

async function refuseUpload({ services }: World, repository: RepositoryName): Promise<void> {
  const { id } = await services.uploads.begin(repository, {
    caller,
    user: caller,
    algorithm: "sha256",
  });
  const body = { stream: once(wrongBytes), from: null, lengthBytes: null };
  try {
    await services.uploads.finish(
      { repository, id, caller, user: caller },
      digestOf(Buffer.from("")),
      body,
    );
  } catch (error) {
    if (error instanceof DigestInvalidError) return;
    throw error;
  }
  throw new Error("an upload with a wrong digest was accepted");
}

async function cancelUpload(world: World, repository: RepositoryName): Promise<void> {
  await world.services.uploads.cancel({
    repository,
    id: await abandonUpload(world, repository),
    caller,
    user: caller,
  });
}

async function abandonUpload({ services }: World, repository: RepositoryName): Promise<string> {
  const { id } = await services.uploads.begin(repository, {
    caller,
    user: caller,
    algorithm: "sha256",
  });
  const body = { stream: once(wrongBytes), from: null, lengthBytes: null };
  await services.uploads.append({ repository, id, caller, user: caller }, body);
  return id;
}

export async function expireUploads({ index, services, clock }: World): Promise<void> {
  const expiry = new UploadExpiry({
    index,
    uploads: services.uploads,
    clock,
    reports: { error: () => undefined, info: () => undefined },
    options: { ageMs: graceMs / 2, intervalMs: graceMs, dryRun: false },
  });
  await expiry.run();
  await services.uploads.settle();
}

export async function collect(
  { collector }: World,
  untagged: boolean,
  keptMs: number = 0,
): Promise<void> {
  const { ok, errors } = await collector.collect(
    {
      dryRun: false,
      untagged,
      full: false,
      foreignGraceMs: 0,
      keepDeletedMs: keptMs,
      listing: "nothing",
    },
    () => undefined,
  );
  if (!ok) throw new Error(`the collection failed: ${errors.join("; ")}`);
}
