// The configuration before its types are known: maps, lists and the text of scalars, as they were
// written, with the place (line or variable) that each value came from.
// Scalars stay text because what "5000", "yes" or "0.1" means depends on the key, as in the classic.
// An empty value (YAML null) is `undefined`: the key is there and takes its default.

export type RawScalar = string | undefined;
export type RawList = RawValue[];
export interface RawMap {
  [key: string]: RawValue;
}
export type RawValue = RawScalar | RawList | RawMap;
export type RawPath = readonly PropertyKey[];

/** Where a value was written. */
export type Source =
  | { readonly kind: "line"; readonly line: number }
  | { readonly kind: "variable"; readonly name: string };

/** No prototype, so that a key "__proto__" or "constructor" is a key like any other. */
export function emptyMap(): RawMap {
  return Object.create(null) as RawMap;
}

export function isRawMap(value: unknown): value is RawMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a path, or undefined where there is none. */
export function rawAt(root: RawValue, path: RawPath): RawValue {
  let value = root;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)];
    else if (isRawMap(value)) value = value[String(key)];
    else return undefined;
  }
  return value;
}

/** Dotted, the way the documentation names keys: `http.headers.X-Foo`, `log.hooks.0`. */
export function dotted(path: RawPath): string {
  return path.map(String).join(".");
}

/** Remembers the place of every value; a value without a place of its own has its parent's. */
export class Sources {
  readonly #places = new Map<string, Source>();

  set(path: RawPath, source: Source): void {
    this.#places.set(placeKey(path), source);
  }

  /** Forgets the places of everything below the path: a variable has replaced it all. */
  replace(path: RawPath, source: Source): void {
    const own = placeKey(path);
    for (const key of this.#places.keys()) {
      if (key.startsWith(own) && key !== own) this.#places.delete(key);
    }
    this.#places.set(own, source);
  }

  find(path: RawPath): Source | null {
    for (let length = path.length; length >= 0; length--) {
      const source = this.#places.get(placeKey(path.slice(0, length)));
      if (source !== undefined) return source;
    }
    return null;
  }
}

/** Ends in NUL, so that the key of a parent is a prefix of its children's and of nobody else's. */
function placeKey(path: RawPath): string {
  return path.map((key) => `${String(key)}\0`).join("");
}

export function describeSource(source: Source | null): string {
  if (source === null) return "";
  return source.kind === "line" ? `line ${source.line}` : source.name;
}
