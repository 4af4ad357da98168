// Asks the registry that npm is configured for whether a package that we ship has a known vulnerability.
// One of level high or above fails; what is only used to build and test is told, and no more. Where the
// service cannot be asked (an offline machine, a mirror without it) that is told too, and fails nothing:
// whether a build is good must not depend on somebody else's server. Plain Node.
// `node scripts/audit.mjs`: exit code 1 for a vulnerability, 0 otherwise.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { projectDirectory } from "./install.mjs";

/** @typedef {{ severity: string, nodes?: string[] }} Vulnerability */
/** @typedef {{ vulnerabilities: Record<string, Vulnerability> }} Report */
/** @typedef {{ packages: Record<string, { dev?: boolean }> }} Lock */

/** npm asks once, and no longer than this. */
const askedMsMax = 30_000;
const grave = new Set(["high", "critical"]);

/** Prints what it finds. @returns {"clean" | "vulnerable" | "unknown"} */
export function audit() {
  // All packages, and what is ours to ship is told apart here: npm's own --omit=dev leaves out packages
  // that a tool depends on as well.
  const args = ["audit", "--json", "--fetch-retries=0", `--fetch-timeout=${askedMsMax}`];
  const { stdout, error } = spawnSync("npm", args, {
    cwd: projectDirectory,
    encoding: "utf8",
    timeout: 2 * askedMsMax,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const report = error === undefined ? reportOf(stdout) : null;
  if (report === null) {
    console.log(`NOTICE: the audit service did not answer: ${error?.message ?? reasonOf(stdout)}`);
    console.log("NOTICE: known vulnerabilities of the packages were NOT looked for.");
    return "unknown";
  }
  const lock = /** @type {Lock} */ (
    JSON.parse(readFileSync(join(projectDirectory, "package-lock.json"), "utf8"))
  );
  const { shipped, others } = findings(report, lock);
  for (const line of others)
    console.log(`NOTICE: ${line}; it is not shipped, or is of a low level`);
  for (const line of shipped) console.error(`VULNERABLE: ${line}`);
  if (shipped.length > 0) return "vulnerable";
  console.log("no known vulnerability of level high or above in what is shipped");
  return "clean";
}

/**
 * @param {Report} report
 * @param {Lock} lock
 */
function findings({ vulnerabilities }, { packages }) {
  /** @type {{ shipped: string[], others: string[] }} */
  const found = { shipped: [], others: [] };
  for (const [name, { severity, nodes = [] }] of Object.entries(vulnerabilities)) {
    // A place that the lock file does not know is taken for one that is shipped.
    const isShipped = nodes.length === 0 || nodes.some((node) => packages[node]?.dev !== true);
    const line = `${name} (${severity}) at ${nodes.join(", ")}`;
    (isShipped && grave.has(severity) ? found.shipped : found.others).push(line);
  }
  return found;
}

/** @param {string} text @returns {Report | null} null: it is no report */
function reportOf(text) {
  try {
    const value = /** @type {Partial<Report> | null} */ (JSON.parse(text));
    const vulnerabilities = value?.vulnerabilities;
    return vulnerabilities instanceof Object ? { vulnerabilities } : null;
  } catch {
    // npm was ended, or said something else than JSON.
    return null;
  }
}

/** @param {string} text */
function reasonOf(text) {
  try {
    const { message = text } = /** @type {{ message?: string }} */ (JSON.parse(text));
    return message.slice(0, 300);
  } catch {
    // Then it is the reason as it stands.
    return text.slice(0, 300);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.exitCode = audit() === "vulnerable" ? 1 : 0;
}
