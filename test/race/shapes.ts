// What is on its way out when a race begins: an image, an index with its children, a referrer. Each has a
// layer that nothing else names, and one that an image of another repository names too. And a manifest
// whose layers all stay.
import type { Digest, RepositoryName, Tag } from "../../src/oci/index.ts";
import { parseRepositoryName, parseTag } from "../../src/oci/index.ts";
import {
  addArtifact,
  addImage,
  type Artifact,
  imageA,
  imageB,
  multi,
  multiChildren,
  sbom,
} from "../crash/content.ts";
import { digestOf, imageOf, makeLayer, mediaTypes } from "../support/images.ts";

/** Holds an image that stays, and whose content must never be touched. */
export const safe = parseRepositoryName("safe");
export const one = parseRepositoryName("one");
/** Below the first, so that its directories lie in the other's. */
export const two = parseRepositoryName("one/two");
export const three = parseRepositoryName("three");
export const bystander = imageA;

/** Who pushed what is on its way out. */
export const firstCaller = "ann";

export const tags = {
  doomed: parseTag("doomed"),
  subject: parseTag("subject"),
  kept: parseTag("kept"),
  latest: parseTag("latest"),
  again: parseTag("again"),
  anchor: parseTag("anchor"),
} satisfies Record<string, Tag>;

export interface Shape {
  /** Its manifests as they are pushed, the one that clients name last. */
  readonly manifests: readonly Artifact[];
  readonly top: Artifact;
  /** A layer that only this names; where there is none, the manifest's own bytes. */
  readonly own: Digest;
  /** Another image of the same layers or of others that stay. */
  readonly kept: Artifact;
  /** Something new that names what this names. */
  readonly newcomer: Artifact;
  /** An index that names the top. */
  readonly parent: Artifact;
  /** An image beside it that stays, and with it all blobs of this one: only the manifest goes. */
  readonly anchor?: Artifact;
  /** Its subject; null: it has none, and what makes it garbage is that its tag goes. */
  readonly subject: Artifact | null;
}

function indexOver(children: readonly Artifact[], name: string): Artifact {
  const manifests = children.map(({ mediaType, digest, bytes }) => ({
    mediaType,
    digest,
    size: bytes.length,
  }));
  const body = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests,
    annotations: { name },
  };
  const bytes = Buffer.from(JSON.stringify(body));
  return addArtifact(
    { mediaType: mediaTypes.index, digest: digestOf(bytes), bytes },
    { children: children.map(({ digest }) => digest) },
  );
}

function blobAt(artifact: Artifact | undefined, at: number): Digest {
  const digest = artifact?.blobs[at];
  if (digest === undefined) throw new Error("there is no such blob");
  return digest;
}

/** Moves tags: what `latest` names before it is moved. */
export const other = addImage(imageOf([makeLayer("race/other", 300)], { label: "other" }));

const arm = multiChildren[1];

/** Another manifest of the same content. */
function twinOf(artifact: Artifact): Artifact {
  const body = JSON.parse(Buffer.from(artifact.bytes).toString()) as object;
  const bytes = Buffer.from(JSON.stringify({ ...body, annotations: { name: "twin" } }));
  const { mediaType, blobs } = artifact;
  return addArtifact({ mediaType, digest: digestOf(bytes), bytes }, { blobs });
}

const twin = twinOf(imageB);

export const shapes: Readonly<Record<"image" | "index" | "referrer" | "manifest", Shape>> = {
  image: {
    manifests: [imageB],
    top: imageB,
    own: blobAt(imageB, 1),
    kept: imageA,
    newcomer: addImage(imageOf([makeLayer("crash/b", 700)], { label: "new" })),
    parent: indexOver([imageB], "over an image"),
    subject: null,
  },
  index: {
    manifests: [...multiChildren, multi],
    top: multi,
    own: blobAt(arm, 0),
    kept: imageA,
    newcomer: indexOver(arm === undefined ? [] : [arm], "new"),
    parent: indexOver([multi], "over an index"),
    subject: null,
  },
  referrer: {
    manifests: [sbom],
    top: sbom,
    own: blobAt(sbom, 1),
    kept: imageB,
    newcomer: addImage(imageOf([makeLayer("crash/sbom", 500)], { label: "new" })),
    parent: indexOver([sbom], "over a referrer"),
    subject: imageA,
  },
  manifest: {
    manifests: [twin],
    top: twin,
    own: twin.digest,
    kept: imageA,
    newcomer: twin,
    parent: indexOver([twin], "over a twin"),
    anchor: imageB,
    subject: null,
  },
};

export interface Pushed {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}
