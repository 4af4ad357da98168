// Carries out what a command asks of the reports.
import { type NameGlobs, parseGlobs } from "../oci/index.ts";
import { parseTarget } from "./delete-preview.ts";
import type { UsageReports } from "./usage-reports.ts";
import { parseUsageRequest, type UsageEvent, type UsageRequest } from "./usage-request.ts";

type Tell = (event: UsageEvent) => Promise<void>;

/** @returns the exit code: 1 when something that was named is not there. */
export async function tellUsage(
  reports: UsageReports,
  options: unknown,
  asker: { readonly tell: (event: unknown) => Promise<void> },
): Promise<number> {
  const request = parseUsageRequest(options);
  const tell: Tell = (event) => asker.tell(event);
  if (request.what === "delete-preview") return await tellPreview(reports, request.targets, tell);
  return await tellReport(reports, request, tell);
}

async function tellPreview(
  reports: UsageReports,
  targets: readonly string[],
  tell: Tell,
): Promise<number> {
  const preview = await reports.deletePreview(targets.map(parseTarget), {
    manifest: (manifest) => tell({ kind: "doomed-manifest", manifest }),
    blobs: (blobs) =>
      blobs.length === 0 ? Promise.resolve() : tell({ kind: "freed-blobs", blobs }),
  });
  await tell({ kind: "preview", preview });
  return preview.unknown.length === 0 ? 0 : 1;
}

async function tellReport(
  reports: UsageReports,
  { by, top: limit, repositories }: Extract<UsageRequest, { what: "report" }>,
  tell: Tell,
): Promise<number> {
  const globs: NameGlobs | null = repositories.length === 0 ? null : parseGlobs(repositories);
  if (globs === null) await tell({ kind: "summary", summary: await reports.summary() });
  const list = await reports.topRepositories({ limit, globs, by: "exclusiveBytes" });
  if (globs !== null && list.count === 0) {
    throw new Error(`no repository with an image matches ${globs.patterns.join(" ")}`);
  }
  switch (by) {
    case "repository": {
      await tell({ kind: "repositories", list });
      const [only] = list.rows;
      if (globs === null || list.count > 1 || only === undefined) break;
      const report = await reports.repository(only.repository, limit);
      if (report !== null) await tell({ kind: "repository", report });
      break;
    }
    case "tag":
      await tell({ kind: "tags", rows: await reports.topTags({ limit, globs }) });
      break;
    case "blob":
      await tell({ kind: "blobs", rows: await reports.topBlobs({ limit, globs }) });
      break;
    case "age":
      await tell({ kind: "ages", rows: await reports.byAge({ globs }) });
      break;
  }
  return 0;
}
