// Writes what the executable is made of: a CycloneDX document of the runtime and of every package inside,
// with the hashes of the lock file. `node scripts/sbom.mjs <file> [executable]`. Plain Node.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectDirectory } from "./install.mjs";

/** @typedef {{ "bom-ref": string, name: string, version: string }} Component */
/** @typedef {{ ref: string, dependsOn: string[] }} Dependency */
/**
 * @typedef {{
 *   metadata: { component: Component & Record<string, unknown> },
 *   components: Component[],
 *   dependencies: Dependency[],
 * }} Bom
 */

/**
 * @param {string} path
 * @param {string} [executable] whose hash is to stand in it
 */
export function writeSbom(path, executable) {
  const { status, stdout, stderr } = spawnSync("npm", ["sbom", "--sbom-format", "cyclonedx"], {
    cwd: projectDirectory,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`npm sbom failed:\n${stderr}`);
  const bom = shippedOf(/** @type {Bom} */ (JSON.parse(stdout)));
  writeFileSync(path, `${JSON.stringify(describing(bom, executable), null, 2)}\n`);
}

/**
 * Only what package.json's dependencies lead to. (npm's own --omit=dev leaves out packages that a tool
 * depends on as well: yaml, zod.)
 * @param {Bom} bom
 */
function shippedOf(bom) {
  const names = new Set(Object.keys(manifest().dependencies));
  const root = bom.metadata.component["bom-ref"];
  const named = new Map(bom.components.map((component) => [component["bom-ref"], component.name]));
  const edges = new Map(bom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
  const direct = (edges.get(root) ?? []).filter((ref) => names.has(named.get(ref) ?? ""));
  const reached = new Set(direct);
  // A set gives out what is added to it while it is walked.
  for (const ref of reached) for (const next of edges.get(ref) ?? []) reached.add(next);
  const missing = [...names].filter((name) => !direct.some((ref) => named.get(ref) === name));
  if (missing.length > 0) throw new Error(`not in npm's list: ${missing.join(", ")}`);
  return {
    ...bom,
    components: bom.components.filter((component) => reached.has(component["bom-ref"])),
    dependencies: bom.dependencies
      .filter(({ ref }) => ref === root || reached.has(ref))
      .map((one) => (one.ref === root ? { ...one, dependsOn: direct } : one)),
  };
}

/**
 * npm names the component after the folder that it lies in.
 * @param {Bom} bom
 * @param {string | undefined} executable
 */
function describing(bom, executable) {
  const { metadata } = bom;
  const component = {
    ...metadata.component,
    name: manifest().name,
    type: "application",
    ...(executable !== undefined && existsSync(executable) ? { hashes: [hashOf(executable)] } : {}),
  };
  return { ...bom, metadata: { ...metadata, component } };
}

/** @returns {{ name: string, dependencies: Record<string, string> }} */
function manifest() {
  const text = readFileSync(join(projectDirectory, "package.json"), "utf8");
  return /** @type {ReturnType<typeof manifest>} */ (JSON.parse(text));
}

/** @param {string} path */
function hashOf(path) {
  const content = createHash("sha256").update(readFileSync(path)).digest("hex");
  return { alg: "SHA-256", content };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [path, executable] = process.argv.slice(2);
  if (path === undefined) throw new Error("usage: node scripts/sbom.mjs FILE [EXECUTABLE]");
  writeSbom(path, executable);
}
