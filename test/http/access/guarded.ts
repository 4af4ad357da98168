// A registry behind access control, as a configuration says: a text of config.yml in, a server out.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { composeAccess } from "../../../src/compose/access.ts";
import { loadConfig } from "../../../src/config/index.ts";
import { httpOptions, limitsOptions } from "../../../src/compose/config-mapping.ts";
import { Limits } from "../../../src/http/index.ts";
import { createMemoryIndex } from "../../../src/index/sqlite-index.ts";
import type { Index } from "../../../src/registry/ports/index.ts";
import { type Harness, type RegistryFactory, startHarness } from "../harness.ts";
import { createRealRegistry } from "../real-registry.ts";

/** "pw", at the lowest cost. */
const hashOfPw = await Bun.password.hash("pw", { algorithm: "bcrypt", cost: 4 });

export interface Guarded extends AsyncDisposable {
  readonly harness: Harness;
  /** Robot tokens are kept here. */
  readonly index: Index;
  readonly directory: string;
  /** What access control logged. */
  readonly said: string[];
  readonly clock: { nowMs: number };
  /** As `name:password`, a token, or null for nobody. */
  readonly ask: (path: string, as: string | null, init?: RequestInit) => Promise<Response>;
}

export interface GuardedOptions {
  readonly users?: readonly string[];
  /** Puts more files into the directory. */
  readonly prepare?: (directory: string) => void;
  readonly registry?: RegistryFactory;
}

/** @param yaml below the top; `DIR` stands for a directory of its own, with `htpasswd` in it. */
export async function startGuarded(yaml: string, options: GuardedOptions = {}): Promise<Guarded> {
  const directory = mkdtempSync(join(tmpdir(), "plimsoll-access-"));
  const { users = ["alice", "bob", "carol", "mallory", "ops"] } = options;
  const lines = users.map((user) => `${user}:${hashOfPw}\n`).join("");
  writeFileSync(join(directory, "htpasswd"), lines);
  options.prepare?.(directory);
  const text = `version: 0.1\nstorage: {inmemory: , delete: {enabled: true}}\n${yaml}\n`;
  const readFile = () => text.replaceAll("DIR", directory);
  const { config } = loadConfig({ path: "config.yml", env: {}, readFile });
  const index = createMemoryIndex({ link: () => null, blobSizeBytes: () => null });
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  const clock = { nowMs: Date.now() };
  const access = await composeAccess({
    config,
    logger: { info: say, warn: say, error: say },
    index,
    tree: null,
    clock: { now: () => clock.nowMs },
  });
  const { listen: _, ...http } = httpOptions(config);
  const limits = new Limits(limitsOptions(config), () => clock.nowMs);
  const harness = await startHarness(
    options.registry ?? (() => createRealRegistry()),
    { ...http, limits },
    access,
  );
  return {
    harness,
    index,
    directory,
    said,
    clock,
    ask: (path, as, init = {}) => harness.ask(path, { ...init, headers: withLogin(as, init) }),
    [Symbol.asyncDispose]: async () => {
      await harness.server.stop();
      await index.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function withLogin(as: string | null, init: RequestInit = {}): Headers {
  const headers = new Headers(init.headers);
  if (as !== null) headers.set("Authorization", authorization(as));
  return headers;
}

function authorization(as: string): string {
  return as.includes(":") ? `Basic ${Buffer.from(as).toString("base64")}` : `Bearer ${as}`;
}

export const htpasswdOnly = "auth: {htpasswd: {realm: basic-realm, path: DIR/htpasswd}}";
export const documentedRules = `access:
  - { repositories: ["public/**"], users: ["*"], actions: [pull] }
  - { repositories: ["team-a/**"], users: [alice, group:a], actions: [pull, push, delete] }
  - { repositories: ["public/**"], users: [ops], actions: [push, delete] }
  - { repositories: ["drop/**"], users: [bob], actions: [push] }
  - { users: [ops], actions: [admin] }
groups: { a: [carol] }`;
export const withIssuer =
  "auth: {htpasswd: {realm: basic-realm, path: DIR/htpasswd}, issuer: {expiration: 1m}}";
