// Puts the services of this room together behind the domain's face.
import { BlobService } from "./blobs.ts";
import { ContentLimits, widestBounds } from "./content-limits.ts";
import { ContentCache } from "./content-cache.ts";
import { CatalogService } from "./catalog.ts";
import { DeletionService } from "./deletions.ts";
import { ManifestService } from "./manifests.ts";
import type { CacheCounts } from "./ports/index.ts";
import type { Registry } from "./registry.ts";
import { RestoreService } from "./restores.ts";
import type { ServiceParts } from "./services.ts";
import { UploadService } from "./uploads.ts";

export interface RegistryServices extends Registry {
  readonly uploads: UploadService;
  /** How large what is pushed may be: can be replaced. */
  readonly content: ContentLimits;
  /** Of what was asked for lately, manifests and small blobs. */
  readonly contentCache: CacheCounts;
  readonly deletions: DeletionService;
  readonly restores: RestoreService;
}

export function createRegistry(parts: ServiceParts): RegistryServices {
  const cache = new ContentCache();
  const uploads = new UploadService(parts);
  return {
    blobs: new BlobService(parts, cache),
    uploads,
    content: parts.content ?? new ContentLimits(widestBounds),
    contentCache: cache,
    manifests: new ManifestService(parts, cache),
    catalog: new CatalogService(parts),
    deletions: new DeletionService(parts, uploads),
    restores: new RestoreService(parts),
  };
}
