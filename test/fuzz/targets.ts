// The registries that are fuzzed, each with another configuration: open, behind passwords, behind a token
// server, bounded, read-only. Real processes over a real directory.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import {
  freePort,
  registry,
  type RunningRegistry,
  startRegistry,
} from "../support/registry-process.ts";
import type { Chance } from "./chance.ts";
import type { Rules } from "./oracle.ts";
import { secretMark } from "./nasty.ts";
import type { Session } from "./session.ts";

const users = { alice: `alice-${secretMark}`, bob: `bob-${secretMark}`, ops: `ops-${secretMark}` };
export const userNames: readonly string[] = Object.keys(users);
/** Of `http.secret`. */
const httpSecret = `http-${secretMark}`;

export const targetNames = ["open", "guarded", "token server", "bounded", "read-only"] as const;
export type TargetName = (typeof targetNames)[number];

export interface Target extends AsyncDisposable {
  readonly name: TargetName;
  readonly server: RunningRegistry;
  readonly port: number;
  /** Of `http.debug.addr`: 127.0.0.1:port. */
  readonly debugHost: string;
  /** Holds the root directory and what must not change. */
  readonly outer: string;
  readonly root: string;
  readonly configPath: string;
  readonly rules: Rules;
  /** Who may push and delete where the fuzzer does, for the Authorization header; null: none is needed. */
  readonly login: (chance: Chance, session: Session) => string | null;
  /** Who may do everything in `keep/**`. */
  readonly keeper: string | null;
}

interface Hosts {
  readonly host: string;
  readonly debugHost: string;
}

interface Made {
  readonly section: string;
  readonly prefix?: string;
  readonly secrets?: readonly string[];
  readonly login?: Target["login"];
  readonly keeper?: string;
  readonly storage?: string;
  /** What only a running server can be asked for; more secrets. */
  readonly whenRunning?: (configPath: string) => Promise<readonly string[]>;
}

function basic(user: keyof typeof users): string {
  return `Basic ${Buffer.from(`${user}:${users[user]}`).toString("base64")}`;
}

const access = `access:
  - { repositories: ["public/**"], users: ["*"], actions: [pull] }
  - { repositories: ["play/**", "public/**", "keep/**"], users: [alice], actions: [pull, push, delete] }
  - { repositories: ["play/**"], users: [bob], actions: [pull] }
  - { users: [ops], actions: [admin] }
`;

async function makeGuarded(outer: string): Promise<Made> {
  const path = join(outer, "htpasswd");
  const hashes = Object.entries(users).map(([user, password]) => {
    return [user, Bun.password.hashSync(password, { algorithm: "bcrypt", cost: 4 })] as const;
  });
  await writeFile(path, hashes.map(([user, hash]) => `${user}:${hash}\n`).join(""));
  const robots: string[] = [];
  return {
    section: `auth:\n  htpasswd: { realm: fuzz, path: ${path} }\n  issuer: {}\n${access}`,
    secrets: hashes.map(([, hash]) => hash),
    whenRunning: async (configPath) => {
      robots.push(await createRobot(configPath));
      return robots;
    },
    keeper: basic("alice"),
    login: (chance, { tokens }) => {
      if (tokens.length > 0 && chance.percent(25)) return `Bearer ${chance.pick(tokens)}`;
      if (robots.length > 0 && chance.percent(10)) return robotLogin(chance.pick(robots));
      return basic(
        chance.weighted([
          [7, "alice"],
          [1, "bob"],
          [2, "ops"],
        ]),
      );
    },
  };
}

function robotLogin(password: string): string {
  return `Basic ${Buffer.from(`ci:${password}`).toString("base64")}`;
}

async function createRobot(configPath: string): Promise<string> {
  const rights = ["--user", "ci", "--repositories", "play/**", "--actions", "pull,push"];
  const made = await registry(["token", "create", ...rights, configPath]);
  if (made.exitCode !== 0) throw new Error(`making a robot token: ${made.stderr}`);
  return made.stdout.trim();
}

async function makeTokenServer(outer: string): Promise<Made> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "fuzz-key", alg: "ES256", use: "sig" };
  const path = join(outer, "jwks.json");
  await writeFile(path, JSON.stringify({ keys: [jwk] }));
  const sign = (claims: object): Promise<string> =>
    new SignJWT({ access: claims, sub: "alice" })
      .setProtectedHeader({ alg: "ES256", kid: "fuzz-key" })
      .setIssuer("fuzz-issuer")
      .setAudience("fuzz-service")
      .setIssuedAt()
      .setExpirationTime("24h")
      .sign(privateKey);
  const repository = (name: string, ...actions: string[]): object => {
    return { type: "repository", name, actions };
  };
  const all = ["pull", "push", "delete"];
  const names = ["play/a", "play/b", "play/b/deep/er", "public/x"];
  const kept = Array.from({ length: 64 }, (_, n) => repository(`keep/${n}`, ...all));
  const admin = { type: "registry", name: "admin", actions: ["*"] };
  const catalog = { type: "registry", name: "catalog", actions: ["*"] };
  const full = await sign([...names.map((name) => repository(name, ...all)), admin, catalog]);
  const little = await sign([repository("play/a", "pull")]);
  const keeper = await sign(kept);
  return {
    section: `auth:
  token: { realm: "http://127.0.0.1:1/token", service: fuzz-service, issuer: fuzz-issuer, jwks: ${path} }
`,
    keeper: `Bearer ${keeper}`,
    secrets: [full, little, keeper],
    login: (chance) =>
      `Bearer ${chance.weighted([
        [9, full],
        [1, little],
      ])}`,
  };
}

const makers: Readonly<Record<TargetName, (outer: string) => Promise<Made>>> = {
  open: () => Promise.resolve({ section: "" }),
  guarded: makeGuarded,
  "token server": makeTokenServer,
  bounded: () =>
    Promise.resolve({
      prefix: "/x",
      section: `immutable:
  - { name: releases, repositories: ["play/**"], tags: ["v1"] }
quotas:
  - { name: small, repositories: ["play/b"], bytes: 300KB, manifests: 20, tags: 10 }
  - { name: tags, repositories: ["public/**"], tags: 20 }
retention:
  - { name: few, repositories: ["play/**"], tags: ["t*"], keep: { newest: 5 }, untagged: { olderthan: 1s } }
validation:
  manifests: { urls: { allow: ["^https?://"] }, indexes: { platforms: none } }
`,
    }),
  "read-only": () =>
    Promise.resolve({ section: "", storage: "  maintenance: { readonly: { enabled: true } }\n" }),
};

function configText(made: Made, root: string, hosts: Hosts): string {
  const { section, prefix = "", storage = "" } = made;
  return `version: 0.1
log: { level: debug }
storage:
  delete: { enabled: true }
  filesystem: { rootdirectory: ${root} }
${storage}http:
  addr: ${hosts.host}
  debug: { addr: "${hosts.debugHost}" }
  prefix: ${prefix}/
  secret: ${httpSecret}
  # Else nobody who comes anew is let in, once so many have tried wrong passwords.
  limits: { logins: { failures: 0 } }
gc: { interval: 1s, grace: 3s, keepdeleted: 2s, untagged: { delete: true, olderthan: 1s } }
${section}`;
}

/** What a read-only registry can show. */
async function fill(configPath: string, host: string): Promise<void> {
  const server = await startRegistry({ configPath, host, logPath: null });
  const url = `${server.url}/v2/play/a`;
  const body = Buffer.from("shared 1");
  const digest = `sha256:${new Bun.CryptoHasher("sha256").update(body).digest("hex")}`;
  await fetch(`${url}/blobs/uploads/?digest=${digest}`, { method: "POST", body });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const layer = { mediaType: "application/x", digest, size: body.length };
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType, config: layer, layers: [layer] });
  const headers = { "Content-Type": mediaType };
  const put = await fetch(`${url}/manifests/latest`, { method: "PUT", body: manifest, headers });
  if (put.status !== 201) throw new Error(`filling a registry: ${put.status}`);
  await server.stop();
}

export async function startTarget(name: TargetName): Promise<Target> {
  const outer = await mkdtemp(join(tmpdir(), "plimsoll-fuzz-"));
  const root = join(outer, "root");
  await mkdir(root);
  const host = `127.0.0.1:${await freePort()}`;
  const debugHost = `127.0.0.1:${await freePort()}`;
  const hosts = { host, debugHost };
  const configPath = join(outer, "config.yml");
  const made = await makers[name](outer);
  if (name === "read-only") {
    await writeFile(configPath, configText({ section: "" }, root, hosts));
    await fill(configPath, host);
  }
  await writeFile(configPath, configText(made, root, hosts));
  await writeFile(join(outer, "canary"), "untouched");
  const logPath = join(outer, "server.log");
  const { prefix = "", secrets = [], keeper = null, login = () => null } = made;
  const server = await startRegistry({ configPath, host, logPath, firstPath: "/livez" });
  const more = (await made.whenRunning?.(configPath)) ?? [];
  return {
    name,
    server,
    port: Number(host.split(":")[1]),
    debugHost,
    outer,
    root,
    configPath,
    keeper,
    login,
    rules: {
      prefix,
      secrets: [httpSecret, ...secrets, ...more],
      isReadOnly: name === "read-only",
      isGuarded: keeper !== null,
    },
    async [Symbol.asyncDispose]() {
      await server.stop("SIGKILL");
      await rm(outer, { recursive: true, force: true });
    },
  };
}

/**
 * How many objects are left when all that nothing refers to has been collected, which asking for a heap
 * snapshot does.
 */
export async function heapObjects({ debugHost }: Target): Promise<number> {
  for (;;) {
    const answer = await fetch(`http://${debugHost}/debug/pprof/heap`);
    const text = await answer.text();
    if (answer.status === 200) return Number(/"node_count":(\d+)/.exec(text.slice(0, 10_000))?.[1]);
    // One at a time, with a rest after each.
    if (answer.status !== 503) throw new Error(`a heap snapshot: ${answer.status} ${text}`);
    await Bun.sleep(1_000 * Number(answer.headers.get("retry-after") ?? 1));
  }
}

/** `verify` of the stopped registry: what tree and index say of each other, and every byte. */
export async function verified(target: Target): Promise<string> {
  const { exitCode, stdout, stderr } = await registry(["verify", "--hash", target.configPath], {
    timeoutMs: 600_000,
  });
  return exitCode === 0 ? "in order" : `exit code ${exitCode}:\n${stdout}\n${stderr}`;
}
