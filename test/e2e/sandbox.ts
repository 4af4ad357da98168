// One test's own corner: a directory, a configuration, a port, the servers started there. Closing it
// stops them and removes everything. The configuration is the tutorial's, slipped indentation included.
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

import type { CommandResult, RunningRegistry, StartOptions } from "../support/registry-process.ts";
import { freePort, registry, runOk, startRegistry } from "../support/registry-process.ts";

export interface Sandbox {
  readonly directory: string;
  readonly root: string;
  /** `<root>/docker/registry/v2` */
  readonly tree: string;
  readonly host: string;
  readonly configPath: string;
  start(options?: Partial<StartOptions>): Promise<RunningRegistry>;
  /** A command of ours; `config.yml` is put behind the arguments. */
  command(...args: string[]): Promise<CommandResult>;
  /** Stops what runs and removes the directory. */
  close(): Promise<void>;
}

export interface SandboxOptions {
  /** More sections, at the top level of the configuration. */
  readonly more?: string;
  readonly deletes?: boolean;
}

async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  // Lower case and short: podman takes a layout's path for a name, and bounds its own.
  const directory = join(tmpdir(), `plimsoll-${randomUUID().slice(0, 8)}`);
  await mkdir(directory);
  const root = join(directory, "registry");
  const host = `127.0.0.1:${await freePort()}`;
  const configPath = join(directory, "config.yml");
  await writeFile(configPath, tutorialConfig(root, host, options));
  const started: RunningRegistry[] = [];
  return {
    directory,
    root,
    tree: join(root, "docker/registry/v2"),
    host,
    configPath,
    async start(more = {}) {
      const logPath = join(directory, `server-${started.length + 1}.log`);
      const server = await startRegistry({ configPath, host, logPath, ...more });
      started.push(server);
      return server;
    },
    command: (...args) => registry([...args, configPath]),
    async close() {
      for (const server of started) await server.stop("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function tutorialConfig(root: string, addr: string, options: SandboxOptions): string {
  return `version: 0.1
log:
 fields:
 service: registry
storage:
 delete:
  enabled: ${options.deletes ?? true}
 cache:
  blobdescriptor: inmemory
 filesystem:
  rootdirectory: ${root}
http:
 addr: ${addr}
 headers:
  X-Content-Type-Options: [nosniff]
health:
 storagedriver:
 enabled: true
 interval: 10s
 threshold: 3
${options.more ?? ""}`;
}

/** Runs a test's body in a sandbox of its own. */
export function withSandbox(
  body: (sandbox: Sandbox) => Promise<void>,
  options: SandboxOptions = {},
): () => Promise<void> {
  return async () => {
    const sandbox = await createSandbox(options);
    try {
      await body(sandbox);
    } finally {
      await sandbox.close();
    }
  };
}

/** What `du -sk` says, in KiB. */
export async function diskUsageKib(path: string, ...exclude: string[]): Promise<number> {
  const excluded = exclude.map((name) => `--exclude=${name}`);
  const { stdout } = await runOk(["du", "-sk", ...excluded, path]);
  return Number.parseInt(stdout, 10);
}

/** Every file below, sorted, relative. What vanishes while it looks is left out. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  return files.map((entry) => relative(directory, join(entry.parentPath, entry.name))).sort();
}

/** The digests whose bytes are on disk. */
export async function storedDigests(sandbox: Sandbox): Promise<string[]> {
  const files = await filesBelow(join(sandbox.tree, "blobs"));
  const digests = files.map((file) => /^(\w+)\/\w\w\/(\w+)\/data$/.exec(file));
  return digests.map((match, n) => (match ? `${match[1]}:${match[2]}` : (files[n] ?? ""))).sort();
}

/** Both streams, for the message of a failed expectation. */
export function outputOf(result: CommandResult): string {
  return `${result.stdout}\n${result.stderr}`;
}

export async function replaceInConfig(sandbox: Sandbox, from: string, to: string): Promise<void> {
  const text = await readFile(sandbox.configPath, "utf8");
  if (!text.includes(from)) throw new Error(`config.yml does not contain ${from}`);
  await writeFile(sandbox.configPath, text.replace(from, to));
}
