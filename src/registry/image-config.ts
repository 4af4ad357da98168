// What an image's config says, for people to look at: how it was made, step by step, and how it runs. Pure,
// and never fails: configs are anybody's JSON. Source: OCI image-spec, config.md.
import type { Digest } from "../oci/index.ts";
import { listIn, objectIn, parsed, textIn, textsIn } from "./manifest-outline.ts";

/** Larger ones are not read: real ones have some 10 kB. */
export const configBytesMax = 1024 * 1024;

/** Steps that are shown; a Dockerfile cannot have a tenth of them as layers. */
const historyMax = 1_000;

export interface HistoryStep {
  readonly createdAt: string | null;
  readonly createdBy: string | null;
  readonly author: string | null;
  readonly comment: string | null;
  /** The step changed no file. */
  readonly isEmpty: boolean;
  /** The layer that the step made; null: none, or steps and layers do not go together. */
  readonly layer: Digest | null;
}

export interface ImageConfig {
  readonly createdAt: string | null;
  readonly author: string | null;
  readonly os: string | null;
  readonly architecture: string | null;
  readonly variant: string | null;
  readonly osVersion: string | null;
  readonly user: string | null;
  readonly workingDirectory: string | null;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly environment: readonly string[];
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly history: readonly HistoryStep[];
  /** There are more steps than are shown. */
  readonly isHistoryTruncated: boolean;
}

/** Null: the config is no JSON object. @param layers of the manifest, the lowest first. */
export function readImageConfig(bytes: Uint8Array, layers: readonly Digest[]): ImageConfig | null {
  const json = objectIn(parsed(bytes));
  if (json === null) return null;
  const run = objectIn(json["config"]) ?? {};
  const history = listIn(json["history"]);
  return {
    createdAt: textIn(json["created"]),
    author: textIn(json["author"]),
    os: textIn(json["os"]),
    architecture: textIn(json["architecture"]),
    variant: textIn(json["variant"]),
    osVersion: textIn(json["os.version"]),
    user: textIn(run["User"]),
    workingDirectory: textIn(run["WorkingDir"]),
    entrypoint: commandIn(run["Entrypoint"]),
    command: commandIn(run["Cmd"]),
    environment: commandIn(run["Env"]),
    exposedPorts: Object.keys(objectIn(run["ExposedPorts"]) ?? {}),
    volumes: Object.keys(objectIn(run["Volumes"]) ?? {}),
    stopSignal: textIn(run["StopSignal"]),
    labels: textsIn(run["Labels"]),
    history: stepsOf(history, layers).slice(0, historyMax),
    isHistoryTruncated: history.length > historyMax,
  };
}

/** Some tools write one text where the specification has a list. */
function commandIn(value: unknown): string[] {
  if (typeof value === "string") return value === "" ? [] : [value];
  return listIn(value).filter((part) => typeof part === "string");
}

function stepsOf(history: readonly unknown[], layers: readonly Digest[]): HistoryStep[] {
  const steps = history.map((entry) => objectIn(entry) ?? {});
  const made = steps.filter((step) => step["empty_layer"] !== true).length;
  let next = 0;
  return steps.map((step) => {
    const isEmpty = step["empty_layer"] === true;
    const layer = isEmpty || made !== layers.length ? null : (layers[next++] ?? null);
    return {
      createdAt: textIn(step["created"]),
      createdBy: textIn(step["created_by"]),
      author: textIn(step["author"]),
      comment: textIn(step["comment"]),
      isEmpty,
      layer,
    };
  });
}
