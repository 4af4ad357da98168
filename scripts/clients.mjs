// The programs that the end-to-end tests drive: real clients, the classic registry to compare with,
// a proxy and an ACME server. Installs the missing ones where it may (Debian, as root); touches nothing that is there.
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const clients = [
  "skopeo",
  "podman",
  "buildah",
  "docker-registry",
  "openssl",
  "nginx",
  "pebble",
  "pebble-challtestsrv",
];

/** Where Debian's package has another name than the program. */
const otherPackages = new Map([
  ["nginx", "nginx-light"],
  ["pebble-challtestsrv", "pebble"],
]);

/** Debian's packages start a service where there is a systemd: on port 5000, which `npm start` wants, on 80. */
const services = ["docker-registry", "nginx"];

/** Installs what can be installed and returns the names of those that are missing still. */
export function ensureClients() {
  const missing = clients.filter((name) => !isOnPath(name));
  if (missing.length === 0 || process.getuid?.() !== 0 || !isOnPath("apt-get")) return missing;
  const packages = [...new Set(missing.map((name) => otherPackages.get(name) ?? name))];
  console.log(`Installing ${packages.join(", ")} with apt-get ...`);
  const install = ["install", "--yes", "--quiet", "--no-install-recommends", ...packages];
  // The lists of packages may be absent or too old: then once more with new ones.
  if (!aptGet(install) && aptGet(["update", "--quiet"])) aptGet(install);
  for (const service of services) if (missing.includes(service)) stopService(service);
  return clients.filter((name) => !isOnPath(name));
}

/** @param {string[]} args */
function aptGet(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", args, { env, stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}

/** @param {string} name */
function stopService(name) {
  spawnSync("systemctl", ["disable", "--now", name], { stdio: "ignore" });
}

/**
 * Servers are where only root's PATH leads.
 * @param {string} name
 */
function isOnPath(name) {
  const directories = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return directories.some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      // Not in this directory.
      return false;
    }
  });
}
