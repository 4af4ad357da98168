// What a command asks of the reports, and what it is told, as plain data: it may run in another process.
import { z } from "zod";
import type { BlobFact, RepositoryManifest } from "../registry/ports/index.ts";
import type { AgeRow } from "./by-age.ts";
import { type DeletePreview, targetsMax } from "./delete-preview.ts";
import type { RepositoryReport } from "./repository-report.ts";
import type { UsageSummary } from "./summary.ts";
import type { BlobRow } from "./top-blobs.ts";
import type { TopRepositories } from "./top-repositories.ts";
import type { TagRow } from "./top-tags.ts";

export const usageOrders = ["repository", "tag", "blob", "age"] as const;
export type UsageOrder = (typeof usageOrders)[number];

/** Rows of one list: more fit on no screen, and a reader of JSON has the API. */
export const topMax = 1_000;
const globsMax = 100;

const schema = z.discriminatedUnion("what", [
  z.strictObject({
    what: z.literal("report"),
    by: z.enum(usageOrders),
    top: z.number().int().min(1).max(topMax),
    /** Globs; none: the whole registry. */
    repositories: z.array(z.string()).max(globsMax),
  }),
  z.strictObject({
    what: z.literal("delete-preview"),
    targets: z.array(z.string()).min(1).max(targetsMax),
  }),
]);

export type UsageRequest = Readonly<z.infer<typeof schema>>;

/** @throws ZodError, when another version of the program asks for what this one does not know. */
export function parseUsageRequest(value: unknown): UsageRequest {
  return schema.parse(value);
}

export type UsageEvent =
  | { readonly kind: "summary"; readonly summary: UsageSummary }
  | { readonly kind: "repositories"; readonly list: TopRepositories }
  | { readonly kind: "repository"; readonly report: RepositoryReport }
  | { readonly kind: "tags"; readonly rows: readonly TagRow[] }
  | { readonly kind: "blobs"; readonly rows: readonly BlobRow[] }
  | { readonly kind: "ages"; readonly rows: readonly AgeRow[] }
  | { readonly kind: "doomed-manifest"; readonly manifest: RepositoryManifest }
  | { readonly kind: "freed-blobs"; readonly blobs: readonly BlobFact[] }
  | { readonly kind: "preview"; readonly preview: DeletePreview };
