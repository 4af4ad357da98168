// Applies REGISTRY_* variables to the raw tree by the classic's rule: sorted by name, split at "_",
// keys compared without regard to case, new keys in lower case, lists by index (one past the end
// appends), the value read as YAML. Unlike the classic it works the same below every kind of map.
// Never throws: what cannot be applied is a warning or a problem that names the variable.
import { parseYamlTree } from "./yaml-tree.ts";
import { dotted, emptyMap, isRawMap } from "./raw-tree.ts";
import type { RawMap, RawValue, Sources } from "./raw-tree.ts";

const prefix = "REGISTRY_";

/** Names the file, or (by the classic's rule) may not be set this way; not keys. */
const notKeys = new Set(["REGISTRY_CONFIGURATION_PATH"]);

/** Other programs', by their own rules. The classic takes it for `auth.file`, and does not start. */
const others = new Map([
  ["REGISTRY_AUTH_FILE", "is where podman, skopeo and buildah keep logins, and no key; ignored"],
]);

/** Where the classic's variable carries another name than the key in the file. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ["health.filecheckers", "file"],
  ["health.httpcheckers", "http"],
  ["health.tcpcheckers", "tcp"],
  ["notifications.eventconfig", "events"],
  ["compatibility.schema1.trustkey", "signingkeyfile"],
]);

/** A word instead of a map means a driver without parameters: `storage: inmemory`. */
const shorthandKeys = new Set(["storage", "auth"]);

export interface AppliedVariable {
  readonly name: string;
  readonly path: readonly (string | number)[];
}

export interface VariableNote {
  readonly variable: string;
  readonly text: string;
}

export interface EnvironmentResult {
  readonly applied: readonly AppliedVariable[];
  readonly warnings: readonly VariableNote[];
  readonly problems: readonly VariableNote[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

export function applyEnvironment(
  tree: RawMap,
  sources: Sources,
  env: Environment,
): EnvironmentResult {
  const run = new EnvironmentRun(tree, sources);
  const names = Object.keys(env).filter((name) => name.startsWith(prefix) && !notKeys.has(name));
  // Sorted, so that REGISTRY_STORAGE comes before REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY.
  for (const name of names.sort()) run.apply(name, env[name] ?? "");
  return run;
}

class EnvironmentRun implements EnvironmentResult {
  readonly applied: AppliedVariable[] = [];
  readonly warnings: VariableNote[] = [];
  readonly problems: VariableNote[] = [];
  readonly #tree: RawMap;
  readonly #sources: Sources;

  constructor(tree: RawMap, sources: Sources) {
    this.#tree = tree;
    this.#sources = sources;
  }

  apply(name: string, text: string): void {
    const other = others.get(name);
    if (other !== undefined) {
      this.warnings.push({ variable: name, text: other });
      return;
    }
    const segments = name.slice(prefix.length).split("_");
    if (segments.some((segment) => segment === "")) {
      this.warnings.push({ variable: name, text: "matches no key of the configuration" });
      return;
    }
    if (segments.length === 1 && segments[0]?.toLowerCase() === "version") {
      this.warnings.push({ variable: name, text: "the version is taken from the file only" });
      return;
    }
    const value = parseYamlTree(text);
    if (value.problems.length > 0) {
      const problem = value.problems.map((note) => note.text).join("; ");
      this.problems.push({ variable: name, text: problem });
      return;
    }
    this.#set(name, segments, value.tree);
  }

  #set(name: string, segments: readonly string[], value: RawValue): void {
    const path: (string | number)[] = [];
    let holder: RawMap | RawValue[] = this.#tree;
    for (const [at, segment] of segments.entries()) {
      const key = findKey(holder, segment, path);
      if (key === null) {
        this.#refuse(name, path, segment);
        return;
      }
      path.push(key);
      if (at === segments.length - 1) {
        assign(holder, key, value);
        this.#sources.replace(path, { kind: "variable", name });
        this.applied.push({ name, path });
        return;
      }
      const next = descend(holder, key, { path, nextSegment: segments[at + 1] ?? "" });
      if (next === null) {
        this.warnings.push({
          variable: name,
          text: `has no effect: ${dotted(path)} has a single value and no keys below it`,
        });
        return;
      }
      if (next.made) this.#sources.set(path, { kind: "variable", name });
      holder = next.holder;
    }
  }

  #refuse(name: string, path: readonly (string | number)[], segment: string): void {
    this.applied.push({ name, path });
    this.problems.push({
      variable: name,
      text: `${dotted(path)} is a list: "${segment}" is not an index of it, nor the next one`,
    });
  }
}

/** The key or index that a segment means in a map or list; null: no such index. */
function findKey(
  holder: RawMap | RawValue[],
  segment: string,
  path: readonly (string | number)[],
): string | number | null {
  if (Array.isArray(holder)) {
    const index = /^\d+$/.test(segment) ? Number(segment) : -1;
    return index >= 0 && index <= holder.length ? index : null;
  }
  const lower = segment.toLowerCase();
  const other = otherNames.get([...path, lower].join("."));
  if (other !== undefined) return other;
  return Object.keys(holder).find((key) => key.toLowerCase() === lower) ?? lower;
}

/** The map or list below a key, made where there is none; null: a scalar is in the way. */
function descend(
  holder: RawMap | RawValue[],
  key: string | number,
  way: { readonly path: readonly (string | number)[]; readonly nextSegment: string },
): { readonly holder: RawMap | RawValue[]; readonly made: boolean } | null {
  const value = Array.isArray(holder) ? holder[Number(key)] : holder[String(key)];
  if (Array.isArray(value) || isRawMap(value)) return { holder: value, made: false };
  if (value === undefined) {
    const made: RawMap | RawValue[] = /^\d+$/.test(way.nextSegment) ? [] : emptyMap();
    assign(holder, key, made);
    return { holder: made, made: true };
  }
  if (way.path.length === 1 && shorthandKeys.has(String(key))) {
    const map = emptyMap();
    map[value] = undefined;
    assign(holder, key, map);
    return { holder: map, made: false };
  }
  return null;
}

function assign(holder: RawMap | RawValue[], key: string | number, value: RawValue): void {
  if (Array.isArray(holder)) holder[Number(key)] = value;
  else holder[String(key)] = value;
}
