// `registry delete` and `registry restore`, carried out by the process that owns the root: options come and
// events go as plain data. What they print is in cli/.
import { z } from "zod";
import {
  type DeletedName,
  type ImageName,
  parseDeletedName,
  parseGlobs,
  parseImageName,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import type { Deleter, DeletionService, ListedDeletion, WholeDeletion } from "./deletions.ts";
import type { DeletionPosition, ImageDeletion, TagDeletion } from "./ports/index.ts";
import type { RestoreReport, RestoreService, RestoreWanted } from "./restores.ts";

/** Whoever asked for the command. */
interface Asker {
  readonly tell: (event: unknown) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Names of one command line. */
const namesMax = 10_000;
const name = z.string().max(1_000);

const deleteSchema = z.strictObject({
  names: z.array(name).min(1).max(namesMax),
  dryRun: z.boolean(),
  user: z.string().max(200),
});
const restoreSchema = deleteSchema.extend({ forceTags: z.boolean() });
const listSchema = z.strictObject({ globs: z.array(name).max(100) });

/** What became of one name, or (`dryRun`) would. */
export interface DeleteEvent {
  readonly name: string;
  readonly dryRun: boolean;
  /** Until when it can be restored; null: not at all, or a dry run. */
  readonly restorableUntilMs: number | null;
  readonly result:
    | ({ readonly what: "tag" } & TagDeletion)
    | ({ readonly what: "image" } & ImageDeletion)
    | ({ readonly what: "repository" } & WholeDeletion);
}

export interface RestoreEvent {
  readonly name: string;
  readonly dryRun: boolean;
  readonly report: RestoreReport;
}

/** @returns the exit code: 1 when something was not there to be deleted. */
export async function runDelete(
  deletions: DeletionService,
  options: unknown,
  asker: Asker,
): Promise<number> {
  const { names, dryRun, user } = deleteSchema.parse(options);
  const deleter: Deleter = { caller: user, from: "command line", reason: "command" };
  // All of them are understood before the first one goes.
  const images = names.map((text) => ({ text, image: parseImageName(text) }));
  deletions.requireAllowed();
  let exitCode = 0;
  for (const { text, image } of images) {
    if (asker.signal.aborted) return 1;
    if (dryRun) await deletions.requireNotHeld(image);
    const result = dryRun
      ? await previewOf(deletions, image)
      : await deleteOne(deletions, image, { deleter, signal: asker.signal });
    if (result.outcome !== "deleted") exitCode = 1;
    const isGone = result.outcome === "deleted" && !dryRun;
    const untilMs = isGone ? await untilMsOf(deletions, image) : null;
    const event: DeleteEvent = { name: text, dryRun, restorableUntilMs: untilMs, result };
    await asker.tell(event);
  }
  return exitCode;
}

function untilMsOf(deletions: DeletionService, image: ImageName): Promise<number | null> {
  const one = wantedOf({ ...image, number: null });
  return one === null ? Promise.resolve(deletions.restorableUntilMs()) : deletions.untilMsOf(one);
}

async function deleteOne(
  deletions: DeletionService,
  { repository, tag, digest }: ImageName,
  { deleter, signal }: { readonly deleter: Deleter; readonly signal: AbortSignal },
): Promise<DeleteEvent["result"]> {
  if (tag !== null) {
    return { what: "tag", ...(await deletions.deleteTag({ repository, tag }, deleter)) };
  }
  if (digest !== null) {
    return { what: "image", ...(await deletions.deleteImage({ repository, digest }, deleter)) };
  }
  const whole = await deletions.deleteRepository(repository, deleter, signal);
  return { what: "repository", ...whole };
}

async function previewOf(
  deletions: DeletionService,
  { repository, tag, digest }: ImageName,
): Promise<DeleteEvent["result"]> {
  if (tag !== null) return { what: "tag", ...(await deletions.previewTag(repository, tag)) };
  if (digest !== null) {
    return { what: "image", ...(await deletions.previewImage({ repository, digest })) };
  }
  return { what: "repository", ...(await deletions.previewRepository(repository)) };
}

/** @returns the exit code: 1 when something could not be restored. */
export async function runRestore(
  restores: RestoreService,
  options: unknown,
  asker: Asker,
): Promise<number> {
  const { names, dryRun, forceTags, user } = restoreSchema.parse(options);
  const wanted = names.map((text) => ({ text, what: parseDeletedName(text) }));
  const how = { actor: { caller: user, from: "command line" }, dryRun, forceTags };
  let exitCode = 0;
  for (const { text, what } of wanted) {
    if (asker.signal.aborted) return 1;
    const tell = async (report: RestoreReport): Promise<void> => {
      if (!isDone(report, what.tag)) exitCode = 1;
      const event: RestoreEvent = { name: text, dryRun, report };
      await asker.tell(event);
    };
    const one = wantedOf(what);
    if (one !== null) await tell(await restores.restore(one, how));
    else await restoreWhole(restores, what.repository, { ...how, asker, tell });
  }
  return exitCode;
}

/** Null: all of the repository. */
function wantedOf({ repository, tag, digest, number }: DeletedName): RestoreWanted | null {
  if (number !== null) return { repository, id: number };
  if (tag !== null) return { repository, tag };
  return digest === null ? null : { repository, digest };
}

async function restoreWhole(
  restores: RestoreService,
  repository: RepositoryName,
  {
    asker,
    tell,
    ...how
  }: {
    readonly asker: Asker;
    readonly tell: (report: RestoreReport) => Promise<void>;
  } & Parameters<RestoreService["restore"]>[1],
): Promise<void> {
  let told = 0;
  await restores.restoreRepository(repository, { ...how, signal: asker.signal }, (report) => {
    told += 1;
    return tell(report);
  });
  if (told === 0) await tell({ outcome: "unknown" });
}

const listPageMax = 100;

/** Tells the deletions that can be undone, the youngest first, one event each. */
export async function tellDeletions(
  deletions: DeletionService,
  options: unknown,
  asker: Asker,
): Promise<number> {
  const { globs } = listSchema.parse(options);
  const wanted = parseGlobs(globs);
  for (let after: DeletionPosition | null = null; !asker.signal.aborted;) {
    const page: readonly ListedDeletion[] = await deletions.list({ after, limit: listPageMax });
    for (const deletion of page) {
      if (globs.length === 0 || wanted.matches(deletion.repository)) await asker.tell(deletion);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < listPageMax) return 0;
    after = [last.nowMs, last.id];
  }
  return 1;
}

/** An image that came back without the tag that was named is not what was asked for. */
function isDone(report: RestoreReport, named: Tag | null): boolean {
  if (report.outcome === "restored") return report.taken.every(({ tag }) => tag !== named);
  return report.outcome === "there";
}
