// The real clients: skopeo, podman and buildah behind one face, each with its storage and home in the
// sandbox. A client that is not installed skips its tests with a notice, and fails them under CI=true.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe } from "bun:test";

import type { CommandResult } from "../support/registry-process.ts";
import { run, runOk } from "../support/registry-process.ts";

export type ClientName = "skopeo" | "podman" | "buildah";

export interface Client {
  /** `layout`: oci:<directory>:<tag>; `image`: host/repository:tag. */
  push(layout: string, image: string): Promise<void>;
  /** Into the client's own storage, emptied before. On success `stdout` is the image's id. */
  pull(image: string): Promise<CommandResult>;
  /** Any other command, with the client's storage, home and policy. */
  command(...args: string[]): Promise<CommandResult>;
}

/** Where a program is; Debian has servers where only root's PATH leads. */
export function programPath(program: string): string | null {
  return Bun.which(program, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });
}

/** describe, if all of the programs are here. */
export function describeWith(programs: readonly string[], name: string, body: () => void): void {
  const missing = programs.filter((program) => programPath(program) === null);
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const notice = `${name}: not installed: ${missing.join(", ")}`;
  if (process.env["CI"] === "true") throw new Error(notice);
  console.warn(`SKIPPED: ${notice}`);
  describe.skip(name, body);
}

export async function createClient(name: ClientName, sandbox: string): Promise<Client> {
  const home = join(sandbox, name);
  const policy = { default: [{ type: "insecureAcceptAnything" }] };
  await mkdir(join(home, ".config/containers"), { recursive: true });
  await writeFile(join(home, ".config/containers/policy.json"), JSON.stringify(policy));
  // Else all of one user's clients would share what they are logged in to.
  const logins = join(home, "auth.json");
  await writeFile(logins, "{}");
  const options = { env: { HOME: home, REGISTRY_AUTH_FILE: logins }, cwd: home };
  if (name === "skopeo") return skopeo(home, options);
  const storage = ["--root", join(home, "root"), "--runroot", join(home, "run")];
  const podmanOnly = ["--events-backend=file", "--cgroup-manager=cgroupfs", "--tmpdir", home];
  const own = name === "podman" ? podmanOnly : [];
  return storing([name, ...storage, "--storage-driver=vfs", ...own], options);
}

type Options = { readonly env: Readonly<Record<string, string>>; readonly cwd: string };

function skopeo(home: string, options: Options): Client {
  const copy = ["skopeo", "copy", "--quiet", "--all"];
  return {
    async push(layout, image) {
      await runOk([...copy, "--dest-tls-verify=false", layout, `docker://${image}`], options);
    },
    async pull(image) {
      const target = join(home, "pulled");
      await runOk(["rm", "-rf", target]);
      const source = ["--src-tls-verify=false", `docker://${image}`];
      const pulled = await run([...copy, ...source, `dir:${target}`], options);
      if (pulled.exitCode !== 0) return pulled;
      const manifest: unknown = await Bun.file(join(target, "manifest.json")).json();
      const digest = (manifest as { config?: { digest: string } }).config?.digest ?? "";
      return { ...pulled, stdout: digest.replace("sha256:", "") };
    },
    command: (...args) => run(["skopeo", ...args], options),
  };
}

function storing(program: readonly string[], options: Options): Client {
  const insecure = "--tls-verify=false";
  return {
    async push(layout, image) {
      const { stdout } = await runOk([...program, "pull", "--quiet", layout], options);
      const id = stdout.trim();
      await runOk([...program, "push", "--quiet", insecure, id, `docker://${image}`], options);
    },
    async pull(image) {
      await runOk([...program, "rmi", "--all", "--force"], options);
      const pulled = await run([...program, "pull", "--quiet", insecure, image], options);
      return { ...pulled, stdout: pulled.stdout.trim() };
    },
    command: (...args) => run([...program, ...args], options),
  };
}
