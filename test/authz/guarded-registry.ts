// A registry in this process, put together as the program does it, on a root that lies there already; opened to
// everybody, or guarded as a text of config.yml says.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOnRoot, serve } from "../../src/compose/index.ts";
import { type Config, loadConfig } from "../../src/config/index.ts";
import type { Logger } from "../../src/observability/index.ts";
import type { Ask } from "./content.ts";

export const users = ["ann", "ben", "dan", "ada", "gus", "zoe"] as const;

export interface Place {
  readonly directory: string;
  readonly root: string;
}

export interface Open extends AsyncDisposable {
  readonly origin: string;
  readonly ask: Ask;
  readonly said: string[];
}

export async function makePlace(): Promise<Place> {
  const directory = mkdtempSync(join(tmpdir(), "plimsoll-authz-"));
  const hash = await Bun.password.hash("pw", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(join(directory, "htpasswd"), users.map((user) => `${user}:${hash}\n`).join(""));
  return { directory, root: join(directory, "root") };
}

export function removePlace({ directory }: Place): void {
  rmSync(directory, { recursive: true, force: true });
}

export function configOf({ directory }: Place, yaml: string): Config {
  const text = `version: 0.1
storage: {filesystem: {rootdirectory: DIR/root}, delete: {enabled: true}, maintenance: {uploadpurging: {enabled: false}}}
http: {addr: "127.0.0.1:0", draintimeout: 1s, limits: {sessions: 0, logins: {failures: 0}}}
gc: {enabled: false}
index: {exclusive: true}
${yaml}
`;
  const readFile = (): string => text.replaceAll("DIR", directory);
  return loadConfig({ path: "config.yml", env: {}, readFile }).config;
}

/** @param yaml sections beside storage and http; `DIR` stands for the place, with `htpasswd` in it. */
export async function open(place: Place, yaml: string): Promise<Open> {
  const said: string[] = [];
  const logger = loggerInto(said);
  const logs = {
    logger,
    accessLog: { write: () => undefined },
    flush: () => Promise.resolve(),
  };
  const serving = await serve(configOf(place, yaml), logs, new AbortController().signal);
  const origin = `http://${serving.address}`;
  return {
    origin,
    said,
    ask: (path, init) => fetch(origin + path, { redirect: "manual", ...init }),
    [Symbol.asyncDispose]: () => serving.stop(),
  };
}

/** Carries out a command on the root, as `registry token` does. Returns what it told. */
export async function command(
  place: Place,
  request: Parameters<typeof runOnRoot>[2]["request"],
): Promise<readonly unknown[]> {
  const told: unknown[] = [];
  const config = configOf(place, "");
  const code = await runOnRoot(config, loggerInto([]), {
    request,
    signal: new AbortController().signal,
    tell: async (event) => void told.push(event),
  });
  if (code !== 0) throw new Error(`${request.command} ended with ${code}`);
  return told;
}

function loggerInto(said: string[]): Logger {
  const log: Logger["info"] = (message, fields = {}) => {
    said.push(`${message} ${JSON.stringify(fields)}`);
  };
  const logger: Logger = {
    info: log,
    warn: log,
    error: log,
    debug: log,
    child: () => logger,
    enabled: () => true,
    flush: () => Promise.resolve(),
  };
  return logger;
}
