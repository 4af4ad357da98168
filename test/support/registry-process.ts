// Starts registries (ours or any other with the classic command line) and runs their commands, from
// outside: black box, imports nothing from src. Every process is ended by its own pid.
// PLIMSOLL_COMMAND, a JSON array, says what "ours" is: the sources by default, or the executable.
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { constants } from "node:os";
import { join, resolve } from "node:path";

type Command = readonly string[];

export const repositoryRoot = resolve(import.meta.dir, "../..");

/** Long enough to index a big tree on a busy machine. */
const startDeadlineMs = 120_000;
/** Longer than any drain time that a test configures. */
const stopDeadlineMs = 30_000;
const pollMs = 5;
/** The classic registry hides manifests of these types from who does not accept them. */
const acceptAll = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "*/*",
].join(", ");

function commandFromEnvironment(): Command {
  const text = process.env["PLIMSOLL_COMMAND"];
  if (text === undefined || text === "") {
    return [join(repositoryRoot, "node_modules/.bin/bun"), join(repositoryRoot, "src/main.ts")];
  }
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value) || value.length === 0 || !value.every((v) => typeof v === "string")) {
    throw new Error(`PLIMSOLL_COMMAND must be a JSON array of strings, not ${text}`);
  }
  // A relative program ("./dist/registry") is meant from the repository, wherever a test runs it.
  const [program = "", ...rest] = value;
  return [program.includes("/") ? resolve(repositoryRoot, program) : program, ...rest];
}

export const productCommand: Command = commandFromEnvironment();
export const classicCommand: Command = ["docker-registry"];

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end. Never throws for an exit code; a timeout kills it and throws. */
export async function run(argv: Command, options: RunOptions = {}): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? 120_000;
  const child = Bun.spawn([...argv], {
    cwd: options.cwd ?? repositoryRoot,
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  clearTimeout(timer);
  if (timedOut) {
    throw new Error(`${argv.join(" ")} did not end in ${timeoutMs} ms:\n${stdout}\n${stderr}`);
  }
  return { exitCode, stdout, stderr };
}

/** As run, for what must succeed. */
export async function runOk(argv: Command, options: RunOptions = {}): Promise<CommandResult> {
  const result = await run(argv, options);
  if (result.exitCode !== 0) {
    const said = `${result.stdout}\n${result.stderr}`.trim();
    throw new Error(`${argv.join(" ")} exited with ${result.exitCode}:\n${said}`);
  }
  return result;
}

/** A subcommand of ours: `registry(["garbage-collect", "-m", config])`. */
export function registry(args: Command, options: RunOptions = {}): Promise<CommandResult> {
  return run([...productCommand, ...args], options);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  await new Promise<void>((done) => server.close(() => done()));
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}

export interface RunningRegistry {
  /** As in an image name: 127.0.0.1:port. */
  readonly host: string;
  readonly url: string;
  readonly pid: number;
  /** From the spawn to the first answer. */
  readonly startMs: number;
  /** Everything that it wrote to stdout and stderr. */
  log(): Promise<string>;
  /** Resolves to the exit code, 128 + n after a deadly signal n. */
  stop(signal?: "SIGTERM" | "SIGKILL" | "SIGINT"): Promise<number>;
}

export interface StartOptions {
  readonly command?: Command;
  readonly configPath: string;
  readonly host: string;
  /** Null gives its output to /dev/null. */
  readonly logPath: string | null;
  /** The first request that has to be answered, /v2/ by default. */
  readonly firstPath?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Where it listens, when that is no port: the first request goes there. */
  readonly socket?: string;
  /** It speaks TLS; how the first request is made then. */
  readonly tls?: Bun.TLSOptions;
}

/** Starts a server and waits for its first answer. Throws with its log when it ends before that. */
export async function startRegistry(options: StartOptions): Promise<RunningRegistry> {
  const [program = "", ...args] = options.command ?? productCommand;
  const logPath = options.logPath ?? "/dev/null";
  const startedAt = performance.now();
  const logFile = openSync(logPath, "a");
  const child = spawn(program, [...args, "serve", options.configPath], {
    cwd: repositoryRoot,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", logFile, logFile],
  });
  closeSync(logFile);
  const state: { exitCode: number | null } = { exitCode: null };
  const exited = new Promise<number>((done, fail) => {
    child.once("error", fail);
    child.once("exit", (code, signal) => {
      state.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
      done(state.exitCode);
    });
  });
  // The failure to spawn is reported by whoever awaits `exited`; nobody may be awaiting it yet.
  exited.catch(() => undefined);
  const killAtExit = (): void => void child.kill("SIGKILL");
  process.once("exit", killAtExit);
  void exited.finally(() => process.removeListener("exit", killAtExit)).catch(() => undefined);

  const log = (): Promise<string> => readFile(logPath, "utf8");
  const url = `${options.tls === undefined ? "http" : "https"}://${options.host}`;
  const firstUrl = url + (options.firstPath ?? "/v2/");
  for (;;) {
    const status = await statusOf(firstUrl, options);
    if (status === 200) break;
    if (child.pid === undefined) await exited;
    if (state.exitCode !== null) {
      throw new Error(`${program} serve exited with ${state.exitCode} at start:\n${await log()}`);
    }
    if (performance.now() - startedAt > startDeadlineMs) {
      child.kill("SIGKILL");
      throw new Error(`${program} serve answered ${firstUrl} with ${status}:\n${await log()}`);
    }
    await Bun.sleep(pollMs);
  }
  const startMs = performance.now() - startedAt;

  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<number> => {
    if (state.exitCode !== null) return state.exitCode;
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), stopDeadlineMs);
    const code = await exited;
    clearTimeout(timer);
    return code;
  };
  return { host: options.host, url, pid: child.pid ?? 0, startMs, log, stop };
}

/** Null while nothing listens there. */
async function statusOf(
  url: string,
  { socket, tls }: Pick<StartOptions, "socket" | "tls">,
): Promise<number | null> {
  try {
    const through = socket === undefined ? {} : { unix: socket };
    const encrypted = tls === undefined ? {} : { tls };
    const headers = { Accept: acceptAll };
    const response = await fetch(url, { keepalive: false, headers, ...through, ...encrypted });
    await response.arrayBuffer();
    return response.status;
  } catch {
    // Refused: it does not listen yet.
    return null;
  }
}
