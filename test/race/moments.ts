// Where a collection can be stopped, as a table: the steps, and the calls of the ports before, in and after
// each of them.
import type { Digest } from "../../src/oci/index.ts";
import { blobDirectory, repositoriesRoot } from "../../src/storage/layout.ts";
import type { Event, Stretch } from "./events.ts";
import type { Meant, Place } from "./gate.ts";
import type { Shape } from "./shapes.ts";

type Step =
  | "plan"
  | "manifest removal"
  | "condemn"
  | "unlink"
  | "forget"
  | "link removal"
  | "repository removal";

export interface Moment {
  readonly step: Step;
  /** Of the event: it happens before the step, in it, or after it. */
  readonly order: "before" | "inside" | "after";
  readonly place: Place;
  readonly stretch: Stretch;
  /** Whose exclusion the collection holds then (INV-3); then only its call is meant. */
  readonly excludes?: (shape: Shape) => Digest;
}

type At = readonly [order: Moment["order"], place: Place];

function moments(step: Step, stretch: Stretch, ...places: readonly At[]): Moment[] {
  return places.map(([order, place]) => ({ step, stretch, order, place }));
}

const ofTree: readonly Moment[] = [
  ...moments(
    "link removal",
    "blobs condemned",
    ["before", "before pendingRedo"],
    // The records are read, and are old by the time at which they are applied.
    ["inside", "after pendingRedo"],
    ["inside", "after applyChanges"],
    ["after", "after clearRedo"],
  ),
  ...moments(
    "repository removal",
    "blobs condemned",
    ["before", "before dropEmptyRepositories"],
    ["after", "after dropEmptyRepositories"],
    // Of the repositories' directories: before the first goes, and between two of them.
    ["inside", "before removeEmptyDirectories"],
    ["inside", "after removeEmptyDirectories"],
  ),
];

/** Inside the exclusion of a layer that goes. */
const ofLayer: readonly Moment[] = moments(
  "unlink",
  "blobs condemned",
  ["before", "before isCondemned"],
  ["inside", "before remove"],
  ["inside", "after remove"],
  ["after", "after removeEmptyDirectories"],
).map((moment) => ({ ...moment, excludes: ({ own }) => own }));

export const allMoments: readonly Moment[] = [
  ...moments(
    "plan",
    "whole",
    ["before", "before manifestCandidates"],
    ["after", "after manifestCandidates"],
  ),
  ...moments("manifest removal", "whole", ["before", "before removeManifests"]),
  ...moments("manifest removal", "manifests gone", ["after", "after removeManifests"]),
  ...moments(
    "plan",
    "manifests gone",
    ["before", "before blobCandidates"],
    ["after", "after blobCandidates"],
  ),
  ...moments("condemn", "manifests gone", ["before", "before condemn"]),
  ...moments("condemn", "blobs condemned", ["after", "after condemn"]),
  ...ofLayer,
  ...moments("forget", "blobs condemned", ["before", "before forget"], ["after", "after forget"]),
  ...ofTree,
];

/** Which call is meant: of the excluded digest, or of a repository's directories; else the first. */
export function meantAt({ step, place, excludes }: Moment, shape: Shape): Meant {
  if (excludes !== undefined) {
    const digest = excludes(shape);
    return ([first]) => first === digest || String(first).startsWith(blobDirectory(digest));
  }
  const ofDirectories = step === "repository removal" && place.endsWith("removeEmptyDirectories");
  return ([first]) => !ofDirectories || String(first).startsWith(repositoriesRoot);
}

/** The event waits until the collection has let go of what both exclude. */
export function mustWait({ excludes }: Moment, event: Event, shape: Shape): boolean {
  return excludes !== undefined && event.excludes?.(shape) === excludes(shape);
}
