// The reports on space, as commands and the API ask for them. Each reads the index in short pages and
// holds a bounded part of it in memory, however large the registry.
import {
  type Digest,
  isDigestReference,
  type Reference,
  type RepositoryName,
} from "../oci/index.ts";
import type { UsageSample } from "../registry/ports/index.ts";
import { type AgeRow, usageByAge } from "./by-age.ts";
import {
  type DeletePreview,
  type DeleteTarget,
  previewDeletion,
  type PreviewListener,
} from "./delete-preview.ts";
import { imageBytes, type ImageBytes, tagGoing } from "./image-usage.ts";
import { reportRepository, type RepositoryReport } from "./repository-report.ts";
import { summarise, type UsageSummary } from "./summary.ts";
import { type BlobRow, topBlobs } from "./top-blobs.ts";
import { topRepositories, type TopOptions, type TopRepositories } from "./top-repositories.ts";
import { type TagRow, topTags } from "./top-tags.ts";
import type { UsageParts } from "./usage-parts.ts";

export class UsageReports {
  readonly #parts: UsageParts;

  constructor(parts: UsageParts) {
    this.#parts = parts;
  }

  summary(): Promise<UsageSummary> {
    return summarise(this.#parts);
  }

  topRepositories(
    options: TopOptions & { readonly by: "exclusiveBytes" | "logicalBytes" },
  ): Promise<TopRepositories> {
    return topRepositories(this.#parts, options);
  }

  topTags(options: TopOptions): Promise<readonly TagRow[]> {
    return topTags(this.#parts, options);
  }

  topBlobs(options: TopOptions): Promise<readonly BlobRow[]> {
    return topBlobs(this.#parts, options);
  }

  byAge(options: Pick<TopOptions, "globs">): Promise<readonly AgeRow[]> {
    return usageByAge(this.#parts, options);
  }

  /** Null: there is no such repository. `limit`: of those that it shares with. */
  repository(repository: RepositoryName, limit: number): Promise<RepositoryReport | null> {
    return reportRepository(this.#parts, repository, limit);
  }

  /** Null: there is no such image. */
  async image(
    repository: RepositoryName,
    reference: Reference,
  ): Promise<(ImageBytes & { readonly digest: Digest }) | null> {
    const { index } = this.#parts;
    const isDigest = isDigestReference(reference);
    const manifest = isDigest
      ? await index.findManifest(repository, reference)
      : await index.findTag(repository, reference);
    if (manifest === null) return null;
    const { digest } = manifest;
    const going = isDigest
      ? { repository, deleted: new Set([digest]), tags: new Map<never, never>() }
      : tagGoing(repository, reference, digest);
    return { digest, ...(await imageBytes(this.#parts, { repository, digest }, going)) };
  }

  deletePreview(
    targets: readonly DeleteTarget[],
    listener: PreviewListener = {},
  ): Promise<DeletePreview> {
    return previewDeletion(this.#parts, targets, listener);
  }

  /** The youngest first. */
  history(limit: number): Promise<readonly UsageSample[]> {
    return this.#parts.index.usageHistory(limit);
  }
}
