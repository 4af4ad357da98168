// One image: its manifest, children, layers and who else holds them, referrers, and how it was made.
import { z } from "zod";
import { isDigest } from "../../../oci/index.ts";
import type { Descriptor } from "../../../registry/manifest-outline.ts";
import type { Grant } from "../../../registry/ports/access.ts";
import type { ReferrerFact } from "../../../registry/ports/index.ts";
import type { ChildView, ConfigView, ImageView, LayerView } from "../../../registry/inspection.ts";
import { jsonReply } from "../../reply.ts";
import { sees } from "../guard.ts";
import { readCursor, writeCursor } from "../cursor.ts";
import { operation, pageQuery, pageReply, referenceOf, repositoryOf } from "../operation.ts";
import {
  count,
  digest,
  isoOf,
  isoOrNull,
  listOf,
  named,
  repositoryName,
  tagName,
  texts,
  time,
} from "../schemas.ts";

const platform = z.object({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().nullable(),
  osVersion: z.string().nullable(),
});

const descriptor = {
  digest,
  mediaType: z.string().nullable(),
  sizeBytes: count.nullable().describe("As the manifest says."),
  artifactType: z.string().nullable(),
  annotations: texts,
};

const layer = named(
  "Layer",
  z.object({
    ...descriptor,
    urls: z.array(z.string()).describe("Where a foreign layer is; it need not be here."),
    storedBytes: count
      .nullable()
      .describe("What lies here; null: nothing, or nothing that this repository has."),
    usedBy: z
      .object({
        repositories: z.array(repositoryName).max(10),
        count,
        atLeast: z.boolean().describe("There are more than `count`."),
      })
      .nullable()
      .describe("Other repositories with an image that needs it, the oldest repositories first."),
  }),
);

const child = named(
  "ChildManifest",
  z.object({
    ...descriptor,
    platform: platform.nullable(),
    isPresent: z.boolean().describe("It is here; its own image is at `/images/<digest>`."),
    contentBytes: count
      .nullable()
      .describe("Of its config and layers, as far as they are here; null: it is not here."),
  }),
);

const step = z.object({
  createdAt: z.string().nullable().describe("As the config says."),
  createdBy: z.string().nullable(),
  author: z.string().nullable(),
  comment: z.string().nullable(),
  isEmpty: z.boolean().describe("The step changed no file."),
  layer: digest.nullable(),
});

const configContent = named(
  "ImageConfig",
  z.object({
    createdAt: z.string().nullable(),
    author: z.string().nullable(),
    os: z.string().nullable(),
    architecture: z.string().nullable(),
    variant: z.string().nullable(),
    osVersion: z.string().nullable(),
    user: z.string().nullable(),
    workingDirectory: z.string().nullable(),
    entrypoint: z.array(z.string()),
    command: z.array(z.string()),
    environment: z.array(z.string()),
    exposedPorts: z.array(z.string()),
    volumes: z.array(z.string()),
    stopSignal: z.string().nullable(),
    labels: texts,
    history: z.array(step),
    isHistoryTruncated: z.boolean(),
  }),
);

const config = z.object({
  ...descriptor,
  content: configContent.nullable(),
  problem: z
    .enum(["absent", "too-large", "not-an-image", "unreadable"])
    .nullable()
    .describe("Why there is no content; `not-an-image`: it is of another media type."),
});

const referrer = named(
  "Referrer",
  z.object({
    digest,
    mediaType: z.string(),
    sizeBytes: count,
    artifactType: z.string().nullable(),
    annotations: texts,
  }),
);

const image = named(
  "Image",
  z.object({
    repository: repositoryName,
    digest,
    mediaType: z.string(),
    manifestBytes: count.describe("Of the manifest itself."),
    artifactType: z.string().nullable(),
    annotations: texts,
    pushedAt: time,
    pulledAt: time
      .nullable()
      .describe("By whatever name, to the hour; null: never, as far as is known."),
    tags: z.array(tagName).describe("That name it; at most 100."),
    areTagsTruncated: z.boolean(),
    subject: digest.nullable().describe("What it says that it belongs to."),
    config: config.nullable(),
    layers: z.array(layer).describe("The lowest first; at most 500."),
    areLayersTruncated: z.boolean(),
    layerBytes: count.describe("Of all layers, as the manifest says."),
    manifests: z.array(child).describe("Of an index, by platform; at most 500."),
    areManifestsTruncated: z.boolean(),
    referrers: z.array(referrer).describe("Signatures and the like; the first 20."),
    areReferrersTruncated: z.boolean(),
  }),
);

function descriptorView(one: Descriptor): object {
  const { digest: digest_, mediaType, sizeBytes, artifactType, annotations } = one;
  return { digest: digest_, mediaType, sizeBytes, artifactType, annotations };
}

function layerView(one: LayerView, grant: Grant | null): object {
  const { urls, storedBytes, usedBy, isInRepository } = one;
  const open = { ...descriptorView(one), urls };
  if (grant === null || grant.isAdmin) return { ...open, storedBytes, usedBy };
  // A manifest may name what its repository does not have: whether others have that is not for everybody.
  if (!isInRepository) return { ...open, storedBytes: null, usedBy: null };
  return { ...open, storedBytes, usedBy: usedBy === null ? null : visibleUsers(usedBy, grant) };
}

/** Of the repositories that use a layer, those that the caller may pull; that there are others, but not which. */
function visibleUsers(users: NonNullable<LayerView["usedBy"]>, grant: Grant): object {
  const repositories = users.repositories.filter((name) => sees(grant, name));
  const count_ = repositories.length;
  return { repositories, count: count_, atLeast: users.atLeast || count_ < users.count };
}

function childView(one: ChildView): object {
  const { platform: platform_, isPresent, contentBytes } = one;
  return { ...descriptorView(one), platform: platform_, isPresent, contentBytes };
}

function configView(one: ConfigView): object {
  return { ...descriptorView(one), content: one.content, problem: one.problem };
}

function referrerView(one: ReferrerFact): object {
  const { digest: digest_, mediaType, sizeBytes, artifactType, annotations } = one;
  return { digest: digest_, mediaType, sizeBytes, artifactType, annotations: annotations ?? {} };
}

function imageView(view: ImageView, grant: Grant | null): object {
  const { manifest, outline } = view;
  return {
    repository: view.repository,
    digest: manifest.digest,
    mediaType: manifest.mediaType,
    manifestBytes: manifest.sizeBytes,
    artifactType: view.artifactType,
    annotations: outline.annotations,
    pushedAt: isoOf(view.pushedAtMs),
    pulledAt: isoOrNull(view.pulledAtMs),
    tags: view.tags,
    areTagsTruncated: view.areTagsTruncated,
    subject: outline.subject?.digest ?? null,
    config: view.config === null ? null : configView(view.config),
    layers: view.layers.map((one) => layerView(one, grant)),
    areLayersTruncated: view.layers.length < outline.layers.length,
    layerBytes: outline.layers.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0),
    manifests: view.children.map(childView),
    areManifestsTruncated: view.children.length < outline.manifests.length,
    referrers: view.referrers.map(referrerView),
    areReferrersTruncated: view.areReferrersTruncated,
  };
}

const digestKey = z.tuple([z.string().refine((text) => isDigest(text))]);

export const imageOperations = [
  operation({
    id: "getImage",
    path: "/repositories/{name}/-/images/{reference}",
    group: "Images",
    summary: "One image, with all that hangs on it",
    description:
      "An index lists its children; each is an image of its own, at its digest. Looking at an image counts as no pull.",
    answer: { status: 200, description: "The image.", schema: image },
    refusals: [404],
    handle: async (call) => {
      const { inspection } = call.api;
      const view = await inspection.describeImage(repositoryOf(call), referenceOf(call));
      return jsonReply(200, imageView(view, call.grant));
    },
  }),
  operation({
    id: "listReferrers",
    path: "/repositories/{name}/-/images/{reference}/referrers",
    group: "Images",
    summary: "What names the image as its subject: signatures, SBOMs, attestations",
    query: z.strictObject({
      ...pageQuery,
      artifactType: z.string().min(1).max(255).optional().describe("Only those of this type."),
    }),
    answer: { status: 200, description: "A page.", schema: listOf("ReferrerList", referrer) },
    refusals: [404],
    handle: async (call, { query }) => {
      const { manifests } = call.env.registry;
      const repository = repositoryOf(call);
      const { digest: subject } = await manifests.find(repository, referenceOf(call));
      const found = await manifests.listReferrers(repository, subject, {
        after: readCursor(query.cursor, digestKey)?.[0] ?? null,
        limit: query.limit + 1,
        artifactType: query.artifactType ?? null,
      });
      const shown = found.slice(0, query.limit);
      const last = shown.at(-1)?.digest;
      const more = last !== undefined && found.length > query.limit;
      return pageReply(call, shown.map(referrerView), more ? writeCursor([last]) : null);
    },
  }),
] as const;
