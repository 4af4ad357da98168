// Which operation leaves which event: told by its name, its arguments and its result, inside the same
// savepoint (batch.ts). So an event is there exactly when its change is.
import type { AcceptManifest, AcceptOutcome, BlobFact } from "../registry/ports/index.ts";
import type { RegistryEvent } from "../registry/ports/index.ts";
import type { RequestOrigin } from "../registry/ports/request-origin.ts";
import { addEvents, isAnybodyToBeTold } from "./events.ts";
import type { OperationArguments, OperationName, OperationResult } from "./operations.ts";
import type { Sql } from "./sql.ts";

type Told = Omit<RegistryEvent, "id" | "atMs" | "origin">;

type Tellers = {
  readonly [Name in OperationName]?: (
    args: OperationArguments<Name>,
    result: OperationResult<Name>,
  ) => readonly Told[];
};

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
  deleteRestorably: ([{ repository, digest }], { outcome }) =>
    outcome === "deleted"
      ? [{ ...nothing, action: "delete", what: "manifest", repository, digest }]
      : [],
  deleteTag: ([{ repository, tag }], outcome) =>
    outcome === "deleted" ? [{ ...nothing, action: "delete", what: "tag", repository, tag }] : [],
  deleteTagRestorably: ([{ repository, tag }], { outcome }) =>
    outcome === "deleted" ? [{ ...nothing, action: "delete", what: "tag", repository, tag }] : [],
  deleteImage: ([{ repository }], { manifests }) =>
    manifests.map((digest) => ({
      ...nothing,
      action: "delete",
      what: "manifest",
      repository,
      digest,
    })),
  // In pages, the last of which says so.
  deleteRepository: ([repository], { outcome, more }) =>
    outcome === "deleted" && !more
      ? [{ ...nothing, action: "delete", what: "repository", repository }]
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

/** To be called after the operation, in its savepoint. */
export function recordEvents(
  sql: Sql,
  call: {
    readonly name: OperationName;
    readonly args: readonly unknown[];
    readonly origin?: RequestOrigin | undefined;
  },
  result: unknown,
): void {
  const teller = tellers[call.name] as
    ((args: readonly unknown[], result: unknown) => readonly Told[]) | undefined;
  if (teller === undefined || !isAnybodyToBeTold(sql)) return;
  const told = teller(call.args, result);
  const origin = call.origin ?? null;
  addEvents(
    sql,
    told.map((one) => ({ ...one, id: crypto.randomUUID(), atMs: Date.now(), origin })),
  );
}
