// Which operation leaves which event: told by its name, its arguments and its result, inside the same
// savepoint (batch.ts). So an event is there exactly when its change is.
import { type Digest, digestFromBytes, type RepositoryName } from "../oci/index.ts";
import type { AcceptManifest, AcceptOutcome, BlobFact, Departed } from "../registry/ports/index.ts";
import type { RegistryEvent, Restore, RestoreOutcome, RunRecord } from "../registry/ports/index.ts";
import type { RequestOrigin } from "../registry/ports/request-origin.ts";
import { addEvents, hasRoomForUnasked, isAnybodyToBeTold } from "./events.ts";
import type { OperationArguments, OperationName, OperationResult } from "./operations.ts";
import type { Sql } from "./sql.ts";

type Told = Omit<RegistryEvent, "id" | "atMs" | "origin">;

type Tellers = {
  readonly [Name in OperationName]?: (
    args: OperationArguments<Name>,
    result: OperationResult<Name>,
    /** Of `foreseen`. */
    before: unknown,
  ) => readonly Told[];
};

/** What has to be looked up before an operation, since it takes that away. */
const foreseen: {
  readonly [Name in OperationName]?: (sql: Sql, args: OperationArguments<Name>) => unknown;
} = {
  restoreDeletion: (sql, [{ id }]) => deletedBefore(sql, id),
};

/**
 * Removals that no client has asked for, and that may be many: they are told of while there is room, and never
 * take the place of what clients did.
 */
const unasked: ReadonlySet<OperationName> = new Set<OperationName>([
  "removeManifests",
  "retireImages",
  "retireUntagged",
]);

const nothing = {
  digest: null,
  tag: null,
  mediaType: null,
  sizeBytes: null,
  fromRepository: null,
} as const;
/** Which type a layer has, its manifest says; the classic says this of all of them. */
const blobType = "application/octet-stream";

const tellers: Tellers = {
  finishUpload: ([{ repository, digest, sizeBytes }]) => [
    {
      ...nothing,
      action: "push",
      what: "blob",
      repository,
      digest,
      mediaType: blobType,
      sizeBytes,
    },
  ],
  mountBlob: ([mount], mounted: BlobFact | null) =>
    mounted === null
      ? []
      : [
          {
            ...nothing,
            action: "mount",
            what: "blob",
            repository: mount.to,
            digest: mounted.digest,
            mediaType: blobType,
            sizeBytes: mounted.sizeBytes,
            fromRepository: mount.from,
          },
        ],
  acceptManifest: ([accept], outcome: AcceptOutcome) => (outcome.accepted ? pushes(accept) : []),
  deleteManifest: ([{ repository, digest }], { outcome }) =>
    outcome === "deleted"
      ? [{ ...nothing, action: "delete", what: "manifest", repository, digest }]
      : [],
  deleteRestorably: ([{ repository, digest }, { deletedBy: actor }], { outcome }) =>
    outcome === "deleted"
      ? [{ ...nothing, action: "delete", what: "manifest", repository, digest, actor }]
      : [],
  deleteTag: ([{ repository, tag }], outcome) =>
    outcome === "deleted" ? [{ ...nothing, action: "delete", what: "tag", repository, tag }] : [],
  deleteTagRestorably: ([{ repository, tag }, { deletedBy }], { outcome }) =>
    outcome === "deleted" ? deletions(repository, { tags: [tag], manifests: [] }, deletedBy) : [],
  deleteImage: ([{ repository }, { deletedBy }], { manifests }) =>
    deletions(repository, { tags: [], manifests }, deletedBy),
  retireImages: ([{ repository, deletion }], { departed }) =>
    deletions(repository, departed, deletion.deletedBy),
  retireUntagged: ([{ repository, deletion }], { departed }) =>
    deletions(repository, departed, deletion.deletedBy),
  removeManifests: (_args, removed) =>
    removed.flatMap(({ repository, digest }) =>
      deletions(repository, { tags: [], manifests: [digest] }, collector),
    ),
  restoreDeletion: ([restore], outcome, before) => restored(restore, outcome, before),
  endRun: ([run, record]) => [collected(run, record)],
  // In pages, the last of which says so.
  deleteRepository: ([repository, { deletedBy: actor }], { outcome, more }) =>
    outcome === "deleted" && !more
      ? [{ ...nothing, action: "delete", what: "repository", repository, actor }]
      : [],
  unlinkBlob: ([{ repository, digest }], { outcome }) =>
    outcome === "deleted"
      ? [{ ...nothing, action: "delete", what: "blob", repository, digest }]
      : [],
};

/** One a tag; without tags, one. */
function pushes(accept: AcceptManifest): Told[] {
  const { repository, digest, sizeBytes, tags } = accept;
  const { mediaType } = accept.manifest;
  const push = { ...nothing, action: "push", what: "manifest", repository, digest } as const;
  const pushed = { ...push, mediaType, sizeBytes };
  return tags.length === 0 ? [pushed] : tags.map((tag) => ({ ...pushed, tag }));
}

/** As the actor of what the collector does by itself. */
const collector = "collector";

function deletions(
  repository: RepositoryName,
  { tags, manifests }: Departed,
  actor: string,
): Told[] {
  const deleted = { ...nothing, action: "delete", repository, actor } as const;
  return [
    ...tags.map((tag) => ({ ...deleted, what: "tag", tag }) as const),
    ...manifests.map((digest) => ({ ...deleted, what: "manifest", digest }) as const),
  ];
}

interface Deleted {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

function deletedBefore(sql: Sql, id: number): Deleted | null {
  const row = sql.get<{ repository: RepositoryName; digest: Uint8Array }>(
    "SELECT repository, digest FROM deletions WHERE id = ?",
    id,
  );
  return row === null ? null : { ...row, digest: digestFromBytes(row.digest) };
}

/** As of pushes: one a tag that is back, and one for each manifest that none of them names. */
function restored(restore: Restore, outcome: RestoreOutcome, before: unknown): Told[] {
  const deleted = before as Deleted | null;
  if (outcome.outcome !== "restored" || deleted === null) return [];
  const { repository, digest: top } = deleted;
  const event = (digest: Digest): Told => {
    const held = restore.manifests.find((one) => one.digest === digest);
    const known = held && { mediaType: held.manifest.mediaType, sizeBytes: held.sizeBytes };
    const actor = restore.terms.caller;
    return { ...nothing, action: "restore", what: "manifest", repository, digest, actor, ...known };
  };
  const tags = outcome.tags.map((tag) => ({ ...event(top), tag }));
  const isNamed = (digest: Digest): boolean => digest === top && tags.length > 0;
  const others = outcome.manifests.filter((digest) => !isNamed(digest));
  // What it needs is there before it, as when it was pushed.
  return [...others.map(event), ...tags];
}

/** A run in figures: of a hundred thousand blobs it is one event. */
function collected(run: number, record: RunRecord): Told {
  const { askedBy, startedAtMs, user, errors, steppedOver, bytes, ...figures } = record;
  return {
    ...nothing,
    action: "collect",
    what: "run",
    repository: null,
    actor: user ?? (askedBy === "background" ? collector : askedBy),
    run: {
      run,
      askedBy,
      startedAt: new Date(startedAtMs).toISOString(),
      ...figures,
      bytesReclaimed: bytes,
      steppedOver: steppedOver.count,
      errors: errors.length,
    },
  };
}

interface Recorded {
  readonly name: OperationName;
  readonly args: readonly unknown[];
  readonly origin?: RequestOrigin | undefined;
  /** The disk is full, and what is kept for that is for removing. */
  readonly usesReserve?: boolean;
}

/** To be called before the operation, in its savepoint; what it returns is for `recordEvents`. */
export function foreseeEvents(sql: Sql, { name, args }: Recorded): unknown {
  const look = foreseen[name] as ((sql: Sql, args: readonly unknown[]) => unknown) | undefined;
  return look === undefined || !isAnybodyToBeTold(sql) ? null : look(sql, args);
}

/** To be called after the operation, in its savepoint. */
export function recordEvents(
  sql: Sql,
  call: Recorded,
  result: { readonly value: unknown; readonly foreseen: unknown },
): void {
  const teller = tellers[call.name] as
    ((args: readonly unknown[], result: unknown, before: unknown) => readonly Told[]) | undefined;
  if (teller === undefined || !isAnybodyToBeTold(sql)) return;
  const told = teller(call.args, result.value, result.foreseen);
  if (unasked.has(call.name) && (call.usesReserve || !hasRoomForUnasked(sql, told.length))) return;
  const origin = call.origin ?? null;
  addEvents(
    sql,
    told.map((one) => ({ ...one, id: crypto.randomUUID(), atMs: Date.now(), origin })),
  );
}
