// Makes sure that the npm packages are there before anything else runs: plain Node, no dependencies.
// Never changes package.json or package-lock.json.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const projectDirectory = dirname(dirname(fileURLToPath(import.meta.url)));

/** @param {string} name a program that an npm package brings */
export function packagedProgram(name) {
  return join(projectDirectory, "node_modules", ".bin", name);
}

/** Installs what is missing or older than the lock file. Throws when that fails. */
export function ensureInstalled() {
  if (!isInstalled()) {
    console.log("Installing the npm packages of package-lock.json ...");
    // --include=dev: also where NODE_ENV says production.
    const options = ["--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
    runOrThrow("npm", ["ci", ...options]);
  }
  if (!bunRuns()) {
    // npm can be told not to run install scripts (--ignore-scripts); this one puts Bun in its place.
    runOrThrow(process.execPath, [join(projectDirectory, "node_modules", "bun", "install.js")]);
    if (!bunRuns()) throw new Error(`${packagedProgram("bun")} does not run on this machine`);
  }
}

/** As ensureInstalled, for a script that can do nothing without. */
export function ensureInstalledOrExit() {
  try {
    ensureInstalled();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}

function isInstalled() {
  // npm writes this file as the last step of an installation.
  const installed = modifiedMs(join(projectDirectory, "node_modules", ".package-lock.json"));
  return installed >= modifiedMs(join(projectDirectory, "package-lock.json"));
}

/** @param {string} path */
function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;
}

function bunRuns() {
  return spawnSync(packagedProgram("bun"), ["--version"], { stdio: "ignore" }).status === 0;
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function runOrThrow(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: projectDirectory, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed`);
}
