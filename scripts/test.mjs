// `npm test`: installs what is missing, runs every check and every test, and ends with one line
// "N passed, N failed" (a check counts as one). `npm test lint types` runs only these steps.
// With CI=true nothing may be left out for want of a client program. Plain Node.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { audit } from "./audit.mjs";
import { ensureClients } from "./clients.mjs";
import { ensureInstalled, packagedProgram, projectDirectory } from "./install.mjs";

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */
/** @typedef {{ name: string, run: () => Counts | Promise<Counts> }} Step */

const isCi = process.env["CI"] === "true";
const bun = packagedProgram("bun");
const executable = join("dist", "registry");
/** Characters of `bun test`'s last lines that are kept to read its counts from. */
const summaryLengthMax = 2_000;

/** For tests that set none of their own; bunfig.toml's is not honoured. */
const testMsMax = 60_000;

/** @type {readonly Step[]} */
const steps = [
  { name: "packages", run: () => asOne(succeeds(ensureInstalled)) },
  { name: "clients", run: checkClients },
  { name: "format", run: () => check(bun, ["fmt", "--no-script", "--check"]) },
  { name: "types", run: () => check(bun, ["check", "--no-script"]) },
  { name: "lint", run: () => check(packagedProgram("oxlint"), []) },
  { name: "dead-code", run: () => check(packagedProgram("knip"), []) },
  { name: "audit", run: checkAudit },
  { name: "build", run: () => check(process.execPath, ["scripts/build.mjs"]) },
  { name: "tests", run: () => runTests(testPlaces(), ["--parallel"]) },
  { name: "e2e", run: () => runEndToEnd([bun, "src/main.ts"]) },
  { name: "e2e-executable", run: () => runEndToEnd([executable]) },
];

process.exitCode = await main(process.argv.slice(2));

/** @param {readonly string[]} names */
async function main(names) {
  const unknown = names.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    const all = steps.map((step) => step.name).join(", ");
    console.error(`No such step: ${unknown.join(", ")}. Steps: ${all}`);
    return 1;
  }
  const total = { passed: 0, failed: 0, skipped: 0 };
  const lines = [];
  for (const { name, run } of steps) {
    if (names.length > 0 && !names.includes(name) && name !== "packages") continue;
    console.log(`\n=== ${name}`);
    const startMs = performance.now();
    const { passed, failed, skipped } = await run();
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const verdict = failed === 0 ? "ok    " : "FAILED";
    lines.push(
      `${verdict} ${name.padEnd(15)} ${seconds.padStart(7)} s  ${passed} passed, ` +
        `${failed} failed, ${skipped} skipped`,
    );
    console.log(lines.at(-1));
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
    // Without packages nothing else can run.
    if (name === "packages" && failed > 0) break;
  }
  console.log(`\n=== all\n${lines.join("\n")}\n`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
}

/** @param {boolean} ok */
function asOne(ok) {
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}

/** @param {() => void} act */
function succeeds(act) {
  try {
    act();
    return true;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return false;
  }
}

function checkClients() {
  const missing = ensureClients();
  if (missing.length === 0) return asOne(true);
  const names = missing.join(", ");
  if (isCi) {
    console.error(`Missing and could not be installed: ${names}`);
    return asOne(false);
  }
  console.log(
    `NOTICE: ${names} not found, and could not be installed (that needs apt-get and root).`,
  );
  console.log("NOTICE: the end-to-end tests that drive them are SKIPPED.");
  return { passed: 0, failed: 0, skipped: 1 };
}

/** A service that does not answer makes no build red, here or in CI. */
function checkAudit() {
  const verdict = audit();
  return verdict === "unknown" ? { passed: 0, failed: 0, skipped: 1 } : asOne(verdict === "clean");
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function check(program, args) {
  const { status, error } = spawnSync(program, args, {
    cwd: projectDirectory,
    env: childEnvironment({}),
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (error) console.error(`${program}: ${error.message}`);
  return asOne(status === 0);
}

/**
 * Ours, without the user's own REGISTRY_* variables, which would configure the registries under test.
 * @param {Record<string, string>} added
 */
function childEnvironment(added) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("REGISTRY_"));
  return { ...Object.fromEntries(inherited), ...added };
}

/** @param {readonly string[]} command what the tests take for the registry */
function runEndToEnd(command) {
  if (!hasTests("test/e2e")) return { passed: 0, failed: 0, skipped: 0 };
  if (command[0] === executable && !existsSync(join(projectDirectory, executable))) {
    console.error(`There is no ${executable}`);
    return asOne(false);
  }
  const env = { PLIMSOLL_COMMAND: JSON.stringify(command) };
  // Not in parallel: the clients share their storage on this machine.
  return runTests(["test/e2e"], [], env);
}

/** Everything but the end-to-end tests, so that a new directory of tests is never forgotten. */
function testPlaces() {
  const inTest = readdirSync(join(projectDirectory, "test")).map((name) => join("test", name));
  return ["src", ...inTest.filter((place) => place !== "test/e2e")].filter(hasTests);
}

/** @param {string} place a directory or a file */
function hasTests(place) {
  if (place.endsWith(".ts")) return place.endsWith(".test.ts");
  const directory = join(projectDirectory, place);
  if (!existsSync(directory)) return false;
  return readdirSync(directory, { recursive: true }).some((path) =>
    String(path).endsWith(".test.ts"),
  );
}

/**
 * @param {readonly string[]} places
 * @param {readonly string[]} options
 * @param {Record<string, string>} [env]
 * @returns {Promise<Counts>}
 */
async function runTests(places, options, env = {}) {
  // "./": a path, where a bare word would be a filter that matches anywhere.
  const paths = places.map((place) => `./${place}`);
  // Not from the JUnit report, which leaves out files that could not be loaded.
  const child = spawn(bun, ["test", `--timeout=${testMsMax}`, ...options, ...paths], {
    cwd: projectDirectory,
    env: { ...childEnvironment(env), ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : {}) },
    stdio: ["ignore", "inherit", "pipe"],
  });
  let tail = "";
  child.stderr.setEncoding("utf8");
  for await (const text of child.stderr) {
    process.stderr.write(String(text));
    tail = (tail + String(text)).slice(-summaryLengthMax);
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  const summary = stripVTControlCharacters(tail);
  const counts = readSummary(summary);
  // A run that ends badly without a failed test, or that never came to its end (it crashed).
  const isWhole = /^Ran \d+ tests? across/m.test(summary);
  if ((child.exitCode !== 0 || !isWhole) && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** @param {string} text the last lines that `bun test` wrote */
function readSummary(text) {
  /** @param {string} word */
  const count = (word) => {
    const lines = [...text.matchAll(new RegExp(`^ *(\\d+) ${word}$`, "gm"))];
    return Number(lines.at(-1)?.[1] ?? 0);
  };
  return { passed: count("pass"), failed: count("fail"), skipped: count("skip") + count("todo") };
}
