// The registry as a whole.
import { z } from "zod";
import { jsonReply } from "../../reply.ts";
import { operation } from "../operation.ts";
import { runView } from "../run-view.ts";
import { count, named, runDocument } from "../schemas.ts";

const summary = named(
  "Registry",
  z.object({
    name: z.literal("plimsoll"),
    version: z.string(),
    storage: z.object({
      driver: z.enum(["filesystem", "inmemory"]),
      rootDirectory: z.string().nullable(),
    }),
    isReadOnly: z.boolean().describe("`storage.maintenance.readonly.enabled`"),
    isDeleteEnabled: z.boolean().describe("`storage.delete.enabled`"),
    isIndexChecked: z
      .boolean()
      .describe(
        "Index and tree have been compared since the start. Until then nothing is collected.",
      ),
    totals: z.object({
      repositories: count,
      manifests: count.describe("One in two repositories counts twice."),
      blobs: count.describe("With manifests' own bytes."),
      bytes: count.describe("Of all blobs, each counted once."),
    }),
    isCollecting: z.boolean(),
    lastCollection: runDocument
      .nullable()
      .describe("The last one that is recorded; it may be under way."),
    failing: z
      .record(z.string(), z.string())
      .describe("Health checks that fail now, and why. While one does, `/v2/` answers 503."),
  }),
);

export const registryOperations = [
  operation({
    id: "getRegistry",
    path: "/",
    group: "Registry",
    summary: "What this registry is, holds and does",
    answer: { status: 200, description: "The registry.", schema: summary },
    handle: async ({ api, env, failing }) => {
      const { repositories, manifests, blobs, blobBytes } = await api.totals();
      const [lastRun] = await api.listRuns({ before: null, limit: 1 });
      return jsonReply(200, {
        name: "plimsoll",
        version: api.version,
        storage: { driver: api.driver, rootDirectory: api.rootDirectory },
        isReadOnly: env.options.readOnly,
        isDeleteEnabled: env.options.deleteEnabled,
        isIndexChecked: api.isAgreed(),
        totals: { repositories, manifests, blobs, bytes: blobBytes },
        isCollecting: api.collection.current() !== null,
        lastCollection: lastRun === undefined ? null : runView(lastRun),
        failing,
      });
    },
  }),
] as const;
