// Reads YAML text into a raw tree with the line of every value. Knows no keys.
// Follows what the classic's parser accepts: the first document counts, the last of equal keys wins,
// merge keys and aliases work. Never throws: what cannot be read is returned as problems with a line.
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from "yaml";
import type { Document, Node, Scalar, YAMLMap } from "yaml";
import { dotted, emptyMap, isRawMap, Sources } from "./raw-tree.ts";
import type { RawMap, RawPath, RawValue } from "./raw-tree.ts";

/** Aliases repeat what they name; a file of nested aliases must not fill the memory. */
const nodesMax = 50_000;
const depthMax = 64;

export interface YamlTree {
  readonly tree: RawValue;
  readonly sources: Sources;
  readonly problems: readonly LineNote[];
  readonly warnings: readonly LineNote[];
}

export interface LineNote {
  readonly line: number;
  readonly text: string;
}

export function parseYamlTree(text: string): YamlTree {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    schema: "failsafe",
    uniqueKeys: false,
    prettyErrors: false,
  });
  const documents = Array.isArray(parsed) ? parsed : [];
  const reader = new TreeReader(lines);
  const first = documents[0];
  if (documents.length > 1) {
    const line = documents[1]?.range[0] ?? 0;
    reader.warn(line, "only the first YAML document of the file is read");
  }
  if (first === undefined) return { tree: undefined, ...reader.result() };
  for (const error of first.errors) reader.fail(error.pos[0], `not valid YAML: ${error.message}`);
  if (reader.failed) return { tree: undefined, ...reader.result() };
  return { tree: reader.read(first), ...reader.result() };
}

class TreeReader {
  readonly #lines: LineCounter;
  readonly #sources = new Sources();
  readonly #problems: LineNote[] = [];
  readonly #warnings: LineNote[] = [];
  #document: Document | null = null;
  #nodes = 0;

  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  get failed(): boolean {
    return this.#problems.length > 0;
  }

  result(): Omit<YamlTree, "tree"> {
    return { sources: this.#sources, problems: this.#problems, warnings: this.#warnings };
  }

  warn(offset: number, text: string): void {
    this.#warnings.push({ line: this.#lineAt(offset), text });
  }

  fail(offset: number, text: string): void {
    this.#problems.push({ line: this.#lineAt(offset), text });
  }

  read(document: Document.Parsed): RawValue {
    this.#document = document;
    return this.#readNode(document.contents, []);
  }

  #readNode(node: unknown, path: RawPath): RawValue {
    this.#nodes += 1;
    if (this.#nodes > nodesMax || path.length > depthMax) {
      if (!this.failed) this.fail(offsetOf(node), "too large: nested or repeated too often");
      return undefined;
    }
    if (isAlias(node)) {
      const target = this.#document === null ? undefined : node.resolve(this.#document);
      // Read as nothing, it would open the registry: `auth: *mistyped`. Its name may be a secret, begun with *.
      if (target === undefined) this.fail(offsetOf(node), "no anchor (&) before it has this name");
      return this.#readNode(target, path);
    }
    if (isScalar(node)) return scalarText(node);
    if (isSeq(node)) return node.items.map((item, at) => this.#readItem(item, [...path, at]));
    return isMap(node) ? this.#readMap(node, path) : undefined;
  }

  #readItem(item: unknown, path: RawPath): RawValue {
    this.#sources.set(path, { kind: "line", line: this.#lineAt(offsetOf(item)) });
    return this.#readNode(item, path);
  }

  #readMap(node: YAMLMap, path: RawPath): RawMap {
    const map = emptyMap();
    // Merge keys first: they fill in what the map itself does not say.
    for (const pair of node.items) {
      if (keyText(pair.key) === "<<") this.#merge(map, this.#readNode(pair.value, path));
    }
    const own = new Set<string>();
    for (const pair of node.items) {
      const key = keyText(pair.key);
      if (key === "<<") continue;
      const keyPath = [...path, key];
      if (own.has(key)) {
        this.warn(
          offsetOf(pair.key),
          `${dotted(keyPath)} is given more than once; the last counts`,
        );
      }
      own.add(key);
      this.#sources.replace(keyPath, { kind: "line", line: this.#lineAt(offsetOf(pair.key)) });
      map[key] = this.#readNode(pair.value, keyPath);
    }
    return map;
  }

  #merge(map: RawMap, value: RawValue): void {
    for (const source of Array.isArray(value) ? value : [value]) {
      if (!isRawMap(source)) continue;
      for (const [key, inherited] of Object.entries(source)) {
        if (!(key in map)) map[key] = inherited;
      }
    }
  }

  #lineAt(offset: number): number {
    return this.#lines.linePos(offset).line || 1;
  }
}

function offsetOf(node: unknown): number {
  const range = (node as Partial<Node> | null | undefined)?.range;
  return range?.[0] ?? 0;
}

function keyText(key: unknown): string {
  if (!isScalar(key)) return String(key);
  return typeof key.value === "string" ? key.value : "";
}

const nullWords = new Set(["", "~", "null", "Null", "NULL"]);

function scalarText(node: Scalar): string | undefined {
  const text = typeof node.value === "string" ? node.value : "";
  const plain = node.type === undefined || node.type === "PLAIN";
  return plain && nullWords.has(text) ? undefined : text;
}
