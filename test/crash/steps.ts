// What a client and an operator do in the crash tests, as data: so that a journal can name a step that
// another process was killed in. The parts follow upon each other; each is small, so that dying at every
// call of it is quick.
import {
  type Digest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
  type Tag,
} from "../../src/oci/index.ts";
import { type Artifact, imageA, imageB, multi, multiChildren, sbom, stray } from "./content.ts";

/** One request, or a few that a client makes together. */
export type Step =
  /** HEAD; then, unless it is there, an upload in two parts. */
  | { readonly kind: "push-blob"; readonly repository: RepositoryName; readonly digest: Digest }
  | {
      readonly kind: "mount";
      readonly from: RepositoryName;
      readonly to: RepositoryName;
      readonly digest: Digest;
    }
  /** Without tags: by digest. */
  | {
      readonly kind: "put-manifest";
      readonly repository: RepositoryName;
      readonly digest: Digest;
      readonly tags: readonly Tag[];
    }
  | { readonly kind: "delete-tag"; readonly repository: RepositoryName; readonly tag: Tag }
  | {
      readonly kind: "delete-manifest";
      readonly repository: RepositoryName;
      readonly digest: Digest;
    }
  /** With its children and referrers, as far as nothing else needs them. */
  | { readonly kind: "delete-image"; readonly repository: RepositoryName; readonly digest: Digest }
  /** A rule lets its tags go, all that it has. */
  | {
      readonly kind: "retain";
      readonly repository: RepositoryName;
      readonly digest: Digest;
      readonly tags: readonly Tag[];
    }
  /** Undoes the deletion of the manifest or of its only tag; `tags`: those that come back. */
  | {
      readonly kind: "restore";
      readonly repository: RepositoryName;
      readonly digest: Digest;
      readonly tags: readonly Tag[];
    }
  | { readonly kind: "delete-blob"; readonly repository: RepositoryName; readonly digest: Digest }
  /** An upload whose digest is wrong: refused, and nothing stays. */
  | { readonly kind: "wrong-upload"; readonly repository: RepositoryName }
  | { readonly kind: "cancelled-upload"; readonly repository: RepositoryName }
  /** An upload that begins and gets bytes, and that nobody comes back to. */
  | { readonly kind: "abandoned-upload"; readonly repository: RepositoryName }
  /** Uploads that nobody has touched for half of the grace end. */
  | { readonly kind: "expire-uploads" }
  /** `keeps`: what was deleted stays restorable. */
  | { readonly kind: "collect"; readonly untagged: boolean; readonly keeps?: true }
  /** The tree follows the facts. */
  | { readonly kind: "follow" }
  /** All leases end. */
  | { readonly kind: "pass-grace" };

export interface Together {
  readonly kind: "together";
  readonly branches: readonly (readonly Step[])[];
}

export type Script = readonly (Step | Together)[];

const one = parseRepositoryName("one");
const two = parseRepositoryName("two/deep");
/** Holds nothing but an upload. */
const abandoned = parseRepositoryName("abandoned");
const latest = parseTag("latest");
const other = parseTag("other");
const follow: Step = { kind: "follow" };
const passGrace: Step = { kind: "pass-grace" };

export function push(repository: RepositoryName, artifact: Artifact, tags: readonly Tag[]): Step[] {
  return [
    ...artifact.blobs.map((digest): Step => ({ kind: "push-blob", repository, digest })),
    { kind: "put-manifest", repository, digest: artifact.digest, tags },
  ];
}

export function collect(untagged: boolean): Step {
  return { kind: "collect", untagged };
}

/** Leaves what was deleted restorable. */
export function collectKeeping(untagged: boolean): Step {
  return { kind: "collect", untagged, keeps: true };
}

const restoreMulti: Step = {
  kind: "restore",
  repository: one,
  digest: multi.digest,
  tags: [other],
};

const [sharedLayer = imageA.digest, ...restOfB] = imageB.blobs;

export const parts: Readonly<Record<string, Script>> = {
  "push and tag": [
    ...push(one, imageA, [latest]),
    follow,
    { kind: "wrong-upload", repository: one },
    { kind: "cancelled-upload", repository: two },
  ],
  "share a layer, mount, move the tag": [
    ...push(one, imageB, [latest, other]),
    { kind: "mount", from: one, to: two, digest: sharedLayer },
    ...restOfB.map((digest): Step => ({ kind: "push-blob", repository: two, digest })),
    { kind: "put-manifest", repository: two, digest: imageB.digest, tags: [latest] },
    { kind: "push-blob", repository: two, digest: stray },
    follow,
  ],
  "delete and collect": [
    { kind: "delete-tag", repository: one, tag: other },
    { kind: "delete-blob", repository: two, digest: stray },
    { kind: "delete-manifest", repository: one, digest: imageA.digest },
    follow,
    passGrace,
    collect(false),
  ],
  "push again during a collection": [
    { kind: "delete-manifest", repository: one, digest: imageB.digest },
    { kind: "delete-manifest", repository: two, digest: imageB.digest },
    passGrace,
    {
      kind: "together",
      branches: [push(one, imageA, [latest]), [collect(false), follow], push(two, imageB, [other])],
    },
    follow,
  ],
  // What a HEAD has found stays until the manifest comes (INV-5).
  "push again by looking alone": [
    { kind: "delete-manifest", repository: two, digest: imageB.digest },
    passGrace,
    ...imageB.blobs.map((digest): Step => ({ kind: "push-blob", repository: two, digest })),
    collect(false),
    { kind: "put-manifest", repository: two, digest: imageB.digest, tags: [other] },
    follow,
  ],
  "an index, a referrer": [
    ...multiChildren.flatMap((child) => push(one, child, [])),
    { kind: "put-manifest", repository: one, digest: multi.digest, tags: [other] },
    ...push(one, sbom, []),
    { kind: "together", branches: [[collect(true)], [follow]] },
    { kind: "delete-manifest", repository: one, digest: imageA.digest },
    passGrace,
    collect(false),
  ],
  "uploads expire, a repository goes": [
    { kind: "abandoned-upload", repository: one },
    { kind: "abandoned-upload", repository: abandoned },
    passGrace,
    { kind: "expire-uploads" },
    collect(false),
    follow,
  ],
  "delete an image, collect, restore it": [
    { kind: "delete-image", repository: one, digest: multi.digest },
    follow,
    passGrace,
    collectKeeping(true),
    restoreMulti,
    follow,
  ],
  "restore during a collection": [
    { kind: "delete-tag", repository: one, tag: other },
    { kind: "together", branches: [[collectKeeping(true)], [restoreMulti], [follow]] },
    { kind: "delete-tag", repository: one, tag: other },
    collectKeeping(true),
    { kind: "together", branches: [[restoreMulti], [follow], [collectKeeping(true)]] },
    follow,
  ],
  "retention takes an image, collect, restore it": [
    passGrace,
    { kind: "retain", repository: one, digest: multi.digest, tags: [other] },
    follow,
    collectKeeping(true),
    restoreMulti,
    follow,
  ],
  "delete everything": [
    { kind: "delete-manifest", repository: one, digest: multi.digest },
    { kind: "delete-tag", repository: two, tag: other },
    passGrace,
    { kind: "together", branches: [[follow], [collect(true)]] },
  ],
};

export const repositories: readonly RepositoryName[] = [one, two];

/** All content, pushed in an order in which it is accepted. */
export const everything: Script = [
  ...push(one, imageA, [latest]),
  ...push(one, imageB, [other]),
  ...push(two, imageB, [latest]),
  ...multiChildren.flatMap((child) => push(two, child, [])),
  { kind: "put-manifest", repository: two, digest: multi.digest, tags: [other] },
  ...push(one, sbom, []),
];
