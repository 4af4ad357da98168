// Garbage collection: start, stop, watch, look back.
import { z } from "zod";
import { jsonReply } from "../../reply.ts";
import { ApiError } from "../api-error.ts";
import { collectionStatus, statusDocument } from "../collection-view.ts";
import { readCursor, writeCursor } from "../cursor.ts";
import { operation, pageQuery, pageReply } from "../operation.ts";
import { runView } from "../run-view.ts";
import { listOf, runDocument } from "../schemas.ts";

/** A hundred years; beyond, times are none. */
const secondsMax = 100 * 365 * 86_400;

const request = z.strictObject({
  dryRun: z.boolean().default(false).describe("Only says what would go."),
  untagged: z
    .boolean()
    .default(false)
    .describe("Also removes manifests that no tag leads to; needs `storage.delete.enabled`."),
  full: z.boolean().default(false).describe("Looks at everything instead of at the queue."),
  graceSeconds: z
    .number()
    .min(0)
    .max(secondsMax)
    .optional()
    .describe("Spares foreign bytes younger than this; by default `gc.grace`."),
  keepDeletedSeconds: z
    .number()
    .min(0)
    .max(secondsMax)
    .optional()
    .describe(
      "Leaves what was deleted less than this ago, so that it can be restored; by default `gc.keepdeleted` (unlike the command, whose default is 0).",
    ),
});

const runKey = z.tuple([z.int().min(0)]);

export const collectionOperations = [
  operation({
    id: "getCollection",
    path: "/collection",
    group: "Collection",
    summary: "The collection that is under way, and the last one",
    answer: { status: 200, description: "The status.", schema: statusDocument },
    handle: ({ api }) => jsonReply(200, collectionStatus(api)),
  }),
  operation({
    id: "startCollection",
    method: "POST",
    path: "/collection/start",
    group: "Collection",
    summary: "Collects now",
    description:
      "Answers at once; what comes of it is in the status. It joins a collection that is under way, if that does all that is asked for, or waits for its turn.",
    body: request,
    answer: { status: 202, description: "It was begun.", schema: statusDocument },
    refusals: [403, 409],
    handle: ({ api, caller, env }, { body }) => {
      refuseUnlessAllowed(body, env.options);
      const { graceSeconds, keepDeletedSeconds, ...wanted } = body;
      const started = api.collection.start({
        ...wanted,
        graceMs: graceSeconds === undefined ? null : graceSeconds * 1000,
        keepDeletedMs: keepDeletedSeconds === undefined ? null : keepDeletedSeconds * 1000,
        user: caller,
      });
      if (!started) {
        throw new ApiError(
          "BUSY",
          "a collection that was asked for over this API is not over; wait for it, or stop it",
        );
      }
      return jsonReply(202, collectionStatus(api));
    },
  }),
  operation({
    id: "stopCollection",
    method: "POST",
    path: "/collection/stop",
    group: "Collection",
    summary: "Stops the collection that is under way, whoever asked for it",
    description:
      "It ends after the batch that it is at. What is left stays in the queue, and the next one goes on from there.",
    answer: { status: 202, description: "It will stop.", schema: statusDocument },
    refusals: [409],
    handle: ({ api }) => {
      if (!api.collection.stop()) {
        throw new ApiError("NOTHING_TO_STOP", "no collection is under way");
      }
      return jsonReply(202, collectionStatus(api));
    },
  }),
  operation({
    id: "watchCollection",
    path: "/collection/events",
    group: "Collection",
    summary: "The status, as it changes: server-sent events",
    description:
      "`status`: what getCollection answers, at once and then after changes, at most four times a second. `ended`: likewise, after a collection has ended. Of what cannot be delivered in time, only the last is. Lines that begin with a colon keep the connection alive.",
    answer: {
      status: 200,
      description: "Events, until the client goes away.",
      schema: null,
      events: statusDocument,
    },
    refusals: [503],
    handle: ({ feed, mayStill, request: asked }) =>
      asked.method === "HEAD"
        ? { ...jsonReply(200, null), ...headOfEvents }
        : feed.listen(mayStill),
  }),
  operation({
    id: "listCollectionRuns",
    path: "/collection/runs",
    group: "Collection",
    summary: "Earlier collections, the youngest first",
    query: z.strictObject(pageQuery),
    answer: {
      status: 200,
      description: "A page.",
      schema: listOf("CollectionRunList", runDocument),
    },
    handle: async (call, { query }) => {
      const before = readCursor(query.cursor, runKey)?.[0] ?? null;
      const found = await call.api.listRuns({ before, limit: query.limit + 1 });
      const shown = found.slice(0, query.limit);
      const last = shown.at(-1)?.id;
      const more = last !== undefined && found.length > query.limit;
      return pageReply(call, shown.map(runView), more ? writeCursor([last]) : null);
    },
  }),
] as const;

const headOfEvents = {
  headers: { "Content-Type": "text/event-stream; charset=utf-8" },
  sizeBytes: null,
};

/** @throws ApiError */
function refuseUnlessAllowed(
  asked: z.output<typeof request>,
  { readOnly, deleteEnabled }: { readonly readOnly: boolean; readonly deleteEnabled: boolean },
): void {
  if (asked.dryRun) return;
  if (readOnly) {
    throw new ApiError(
      "READ_ONLY",
      "the registry is read-only (storage.maintenance.readonly.enabled is true); collect with dryRun, or with the command registry garbage-collect",
    );
  }
  if (asked.untagged && !deleteEnabled) {
    throw new ApiError(
      "DELETE_DISABLED",
      "untagged removes manifests, and deleting is disabled; set storage.delete.enabled to true in the configuration, or collect without untagged",
    );
  }
}
