// The programs that the end-to-end tests drive: real clients, and the classic registry to compare
// with. Installs the missing ones where it may (Debian, as root); touches nothing that is there.
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Program and Debian package have the same name. */
const clients = ["skopeo", "podman", "buildah", "docker-registry", "openssl"];

/** Installs what can be installed and returns the names of those that are missing still. */
export function ensureClients() {
  const missing = clients.filter((name) => !isOnPath(name));
  if (missing.length === 0 || process.getuid?.() !== 0 || !isOnPath("apt-get")) return missing;
  console.log(`Installing ${missing.join(", ")} with apt-get ...`);
  const install = ["install", "--yes", "--quiet", "--no-install-recommends", ...missing];
  // The lists of packages may be absent or too old: then once more with new ones.
  if (!aptGet(install) && aptGet(["update", "--quiet"])) aptGet(install);
  if (missing.includes("docker-registry")) stopClassicService();
  return clients.filter((name) => !isOnPath(name));
}

/** @param {string[]} args */
function aptGet(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", args, { env, stdio: ["ignore", "inherit", "inherit"] }).status === 0;
}

/** Debian's package starts a service on port 5000 where there is a systemd; `npm start` wants it. */
function stopClassicService() {
  spawnSync("systemctl", ["disable", "--now", "docker-registry"], { stdio: "ignore" });
}

/** @param {string} name */
function isOnPath(name) {
  return (process.env["PATH"] ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      // Not in this directory.
      return false;
    }
  });
}
