// What must be true around a registry that was fuzzed: the files in its root are those that the layout
// makes, nothing outside has changed, the log is lines of the known forms without a secret.
import { open, readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { isRepositoryName, isTag } from "../../src/oci/index.ts";
import { secretMark } from "./nasty.ts";

const digest = "(?:sha256/[0-9a-f]{64}|sha512/[0-9a-f]{128})";
const shard = "(?:sha256/([0-9a-f]{2})/\\1[0-9a-f]{62}|sha512/([0-9a-f]{2})/\\2[0-9a-f]{126})";
const uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const own = [
  "index\\.db(?:-wal|-shm)?",
  "owner\\.(?:lock|json)(?:-journal)?",
  "control\\.sock",
  "reserve",
  "issuer-keys\\.json",
  `quarantine/${digest}(?:\\.\\d+)?`,
].join("|");
const plain = new RegExp(
  `^(?:plimsoll/(?:${own})|docker/registry/v2/(?:plimsoll-root-id|blobs/${shard}/data))$`,
);
const inRepository = new RegExp(
  `^docker/registry/v2/repositories/(.+?)/(?:_layers/${digest}/link|` +
    `_manifests/revisions/${digest}/link|` +
    `_manifests/tags/([^/]+)/(?:current/link|index/${digest}/link)|` +
    `_uploads/${uuid}/(?:data|startedat))$`,
);

/** A path below the root directory that src/storage/layout.ts could have made, with a name that is one. */
export function isOfLayout(path: string): boolean {
  if (plain.test(path)) return true;
  const [, name, tag] = inRepository.exec(path) ?? [];
  return name !== undefined && isRepositoryName(name) && (tag === undefined || isTag(tag));
}

/** Files that should not be there, or are not what they were. */
export async function strayFiles(outer: string, root: string): Promise<readonly string[]> {
  const entries = await readdir(outer, { recursive: true, withFileTypes: true });
  const ours = new Set(["canary", "config.yml", "htpasswd", "jwks.json", "server.log"]);
  const stray = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => {
      const inRoot = relative(root, path);
      return inRoot.startsWith("..") ? !ours.has(relative(outer, path)) : !isOfLayout(inRoot);
    });
  const canary = await readFile(join(outer, "canary"), "utf8");
  return canary === "untouched" ? stray : [...stray, "the canary was changed"];
}

const lineForms = [
  // logfmt, as log.formatter: text writes it.
  /^time="[^"]+" level=(?:error|warning|info|debug|trace) msg=(?:"(?:[^"\\]|\\.)*"|[^ "]+)(?: [\w.@:/-]+=(?:"(?:[^"\\]|\\.)*"|[^ "]*))*$/,
  // The access log.
  /^\S+ - \S+ \[[\w/:+ ]+\] "(?:[^"\\]|\\.)*" \d{3} \d+ "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"$/,
  // One that was cut, because it was too long.
  /^time="[^"]+" level=\w+ msg=.*\(line too long\)$/,
  // What a start says to people.
  /^(?:Listening on |Data in |Push with: )/,
];

const toldSecret = /\$2[aby]\$|eyJ[\w-]{10,}\.eyJ|Basic [A-Za-z0-9+/=]{8}/;

/** Reads a log on where it was left, and says what is wrong with its lines. */
export class LogWatch {
  readonly #path: string;
  #offset = 0;
  #rest = "";
  lines = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async problems(): Promise<readonly string[]> {
    const problems: string[] = [];
    await using file = await open(this.#path);
    const buffer = Buffer.alloc(1024 * 1024);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, this.#offset);
      if (bytesRead === 0) return problems;
      this.#offset += bytesRead;
      const lines = (this.#rest + buffer.toString("latin1", 0, bytesRead)).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) {
        this.lines += 1;
        const problem = problemOf(line);
        if (problem !== null && problems.length < 10) problems.push(problem);
      }
    }
  }
}

/** A refusal has the level error too, as in the classic. */
const isFault = /^time=\S+ level=error msg=(?!"response completed with error")/;

const base64Mark = [0, 1, 2].map((shift) =>
  Buffer.from(" ".repeat(shift) + secretMark)
    .toString("base64")
    .slice(shift === 0 ? 0 : 4, 16),
);

export function problemOf(line: string): string | null {
  const shown = line.length > 700 ? `${line.slice(0, 350)} [...] ${line.slice(-350)}` : line;
  if (line.includes(secretMark) || base64Mark.some((mark) => line.includes(mark))) {
    return `a secret: ${shown}`;
  }
  if (toldSecret.test(line)) return `a secret: ${shown}`;
  if (/[^\P{Cc}\t\x80-\x9f]/u.test(line)) return `control characters: ${JSON.stringify(shown)}`;
  if (isFault.test(line)) return `an error: ${shown}`;
  return lineForms.some((form) => form.test(line)) ? null : `a line of no known form: ${shown}`;
}
