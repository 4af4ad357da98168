// Lint rules of our own. `layers`: which room of src/ may import which (docs: ARCHITECTURE.md); a
// room that is not in the table may import nothing: add it there first. Tests beside the code may
// import any room; they put parts together. `worker-path`: workers that the executable will find.
// `no-enum`: none.
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** @typedef {Parameters<import("oxlint/plugins-dev").RuleTester["run"]>[1]} Rule */

const projectDirectory = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * What a room may import besides itself and packages: another room, a folder or file of one, or
 * "type" and one of these for type imports only.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const allowed = {
  "src/main.ts": ["src/cli"],
  "src/compose": ["src"],
  "src/watched-files.ts": ["src/registry/ports"],
  "src/cli": [
    "src/compose/index.ts",
    "src/oci",
    "src/config",
    "src/observability",
    "src/owner",
    "src/gc",
    "src/retention",
    "src/usage",
    "src/auth",
    "type src/registry",
    "src/takeover",
  ],
  "src/config": ["src/oci"],
  "src/oci": [],
  "src/registry": ["src/oci", "src/storage/layout.ts"],
  "src/gc": ["src/oci", "src/registry", "src/storage/layout.ts"],
  "src/pressure": ["src/oci", "src/registry", "src/gc", "src/storage/layout.ts"],
  "src/usage": ["src/oci", "src/registry", "src/gc", "src/storage/layout.ts"],
  "src/retention": ["src/oci", "src/registry", "src/gc"],
  "src/auth": ["src/oci", "src/registry/ports", "src/watched-files.ts"],
  "src/takeover": ["src/oci", "src/registry/ports", "src/storage/layout.ts"],
  "src/http": [
    "src/oci",
    "src/registry",
    "src/observability",
    "src/watched-files.ts",
    "type src/config",
    "type src/usage",
    "type src/retention",
  ],
  "src/acme": ["src/registry/ports", "type src/http"],
  "src/storage": ["src/oci", "src/registry/ports"],
  "src/index": ["src/oci", "src/registry/ports"],
  "src/owner": ["src/oci", "src/registry/ports", "src/storage/layout.ts"],
  "src/notifications": ["src/oci", "src/registry/ports", "type src/config"],
  "src/observability": ["src/oci", "src/registry/ports", "type src/config"],
  "test/e2e": ["test/support", "test/fixtures"],
  // Wrappers around the ports, for tests that put parts together; never for end-to-end tests.
  "test/support": ["test/fixtures", "src/registry/ports", "src/storage/memory.ts"],
};

/** A worker puts the parts of its own thread together, as compose/ does for the main one. */
const allowedToWorkers = ["src/storage", "src/index", "src/takeover"];

/** Rooms that import no package and no part of the runtime. */
const alone = ["src/oci"];

/** @param {string} path from the project's folder, with slashes; null: no rule for it */
function roomOf(path) {
  const parts = path.split("/");
  if (parts[0] !== "src" && parts[0] !== "test") return null;
  const room = parts.slice(0, 2).join("/");
  return parts[0] === "src" || room in allowed ? room : null;
}

/**
 * @param {string} path
 * @param {string} place
 */
function isIn(path, place) {
  return path === place || path.startsWith(`${place}/`);
}

/** @param {{ file: string, target: string, isTypeOnly: boolean }} edge */
function mayImport({ file, target, isTypeOnly }) {
  const room = roomOf(file);
  if (room === null || isIn(target, room) || target === "package.json") return true;
  const places = [...(allowed[room] ?? [])];
  if (file.endsWith("-worker.ts")) places.push(...allowedToWorkers);
  return places.some((place) => {
    const [, onlyTypes, where = ""] = /^(type )?(.*)$/.exec(place) ?? [];
    return isIn(target, where) && (isTypeOnly || onlyTypes === undefined);
  });
}

/** @param {string} path */
function fromProject(path) {
  return relative(projectDirectory, path).split(sep).join("/");
}

/** @type {Rule} */
const layers = {
  create(context) {
    const file = fromProject(context.filename);
    const room = roomOf(file);
    if (room === null || (room.startsWith("src/") && file.endsWith(".test.ts"))) return {};
    /**
     * @param {{ range: [number, number] }} node
     * @param {unknown} specifier
     * @param {boolean} isTypeOnly
     */
    const check = (node, specifier, isTypeOnly) => {
      if (typeof specifier !== "string") return;
      if (!(room in allowed)) {
        context.report({ node, message: `${room} is no room that the layer table knows.` });
      } else if (!specifier.startsWith(".")) {
        if (alone.includes(room)) {
          context.report({ node, message: `${room} imports nothing, not even "${specifier}".` });
        }
      } else {
        const target = fromProject(resolve(dirname(join(projectDirectory, file)), specifier));
        if (!mayImport({ file, target, isTypeOnly })) {
          context.report({ node, message: `${room} must not import ${target}.` });
        }
      }
    };
    return {
      ImportDeclaration: (node) => check(node, node.source.value, node.importKind === "type"),
      ExportAllDeclaration: (node) => check(node, node.source.value, node.exportKind === "type"),
      ExportNamedDeclaration: (node) => check(node, node.source?.value, node.exportKind === "type"),
      ImportExpression: (node) =>
        check(node, node.source.type === "Literal" ? node.source.value : null, false),
      TSImportType: (node) => check(node, node.source.value, true),
    };
  },
};

/** @type {Rule} */
const workerPath = {
  create(context) {
    if (!fromProject(context.filename).startsWith("src/")) return {};
    return {
      Literal: (node) => {
        if (typeof node.value !== "string" || !node.value.endsWith("-worker.ts")) return;
        if (/^\.\/[^/]+$/.test(node.value)) return;
        const message =
          "In the executable only a worker of the same folder is found: ./x-worker.ts.";
        context.report({ node, message });
      },
    };
  },
};

/** @type {Rule} */
const noEnum = {
  create(context) {
    return {
      TSEnumDeclaration: (node) =>
        context.report({ node, message: "A union of string literals instead of an enum." }),
    };
  },
};

export default {
  meta: { name: "plimsoll" },
  rules: { layers, "worker-path": workerPath, "no-enum": noEnum },
};
