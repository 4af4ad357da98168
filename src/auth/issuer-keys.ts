// The keys that the registry's own issuer signs with. Made here, changed every month, kept in one file
// that nobody else may read, and for the time of a token's life beyond their month to check with. A file
// that cannot be read is made anew: all that it costs is that clients ask for new tokens.
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import type { Clock } from "../registry/ports/clock.ts";
import type { TokenHeader, TokenKeys, VerifyKey } from "./bearer-tokens.ts";
import type { AuthLog } from "./htpasswd-file.ts";

export const issuerAlgorithm = "ES256";

const signForMs = 30 * 24 * 3_600_000;
/** Longer than any token lives. */
const checkForMs = signForMs + 2 * 24 * 3_600_000;

const jwkSchema = z.strictObject({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  d: z.string(),
});
const fileSchema = z.strictObject({
  keys: z.array(z.strictObject({ kid: z.string(), madeAtMs: z.number(), jwk: jwkSchema })).max(10),
});
type StoredKey = z.infer<typeof fileSchema>["keys"][number];

interface IssuerKey {
  readonly kid: string;
  readonly madeAtMs: number;
  readonly signing: CryptoKey;
  readonly checking: VerifyKey;
}

export class IssuerKeys implements TokenKeys {
  readonly #path: string | null;
  readonly #clock: Clock;
  readonly #log: AuthLog;
  #stored: readonly StoredKey[] = [];
  #keys: readonly IssuerKey[] = [];
  #version = 0;
  #turning: Promise<void> | null = null;

  /** @param path null: keys live as long as the process. */
  constructor(path: string | null, clock: Clock, log: AuthLog) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
  }

  get version(): number {
    return this.#version;
  }

  /** Reads the file, once; makes a key when there is none that may sign. */
  async open(): Promise<void> {
    if (this.#path !== null) await this.#load(this.#path);
    await this.#turn();
  }

  /** The key to sign with now. */
  async signing(): Promise<{ readonly kid: string; readonly key: CryptoKey }> {
    if (this.#maySign() === undefined) {
      this.#turning ??= this.#turn().finally(() => (this.#turning = null));
      await this.#turning;
    }
    const key = this.#maySign();
    if (key === undefined) throw new Error("there is no key to sign tokens with");
    return { kid: key.kid, key: key.signing };
  }

  readonly find = async ({ kid }: TokenHeader): Promise<VerifyKey | undefined> => {
    const nowMs = this.#clock.now();
    return this.#keys.find((key) => key.kid === kid && nowMs - key.madeAtMs < checkForMs)?.checking;
  };

  #maySign(): IssuerKey | undefined {
    const nowMs = this.#clock.now();
    // The newest first. One from the future was made by a clock that has been put back since.
    return this.#keys.find(({ madeAtMs }) => Math.abs(nowMs - madeAtMs) < signForMs);
  }

  async #turn(): Promise<void> {
    if (this.#maySign() !== undefined) return;
    const nowMs = this.#clock.now();
    const stored = await madeKey(nowMs);
    const kept = this.#stored.filter(({ madeAtMs }) => Math.abs(nowMs - madeAtMs) < checkForMs);
    const all = [stored, ...kept.slice(0, 5)];
    // Durable before anything is signed with it: else tokens would not outlive a restart.
    if (this.#path !== null) this.#keep(this.#path, JSON.stringify({ keys: all }));
    const keys = await Promise.all(all.map(imported));
    this.#stored = all;
    this.#keys = keys;
    this.#version += 1;
  }

  /** A disk that is full must not keep out those who would make room: then keys live in memory. */
  #keep(path: string, text: string): void {
    try {
      writePrivately(path, text);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn(
        `auth.issuer: ${path} cannot be written: ${reason}; the new key ends with this process, and clients ask for new tokens then`,
      );
    }
  }

  async #load(path: string): Promise<void> {
    try {
      if ((statSync(path).mode & 0o007) !== 0) {
        this.#log.warn(
          `auth.issuer: others on this machine can read it: ${path}; new keys are made`,
        );
        return;
      }
      const stored = fileSchema.parse(JSON.parse(readFileSync(path, "utf8"))).keys;
      this.#keys = await Promise.all(stored.map(imported));
      this.#stored = stored;
    } catch (error) {
      const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
      // Never the parser's own message: it may quote the file.
      if (!isMissing) this.#log.warn(`auth.issuer: ${path} cannot be used; new keys are made`);
    }
  }
}

async function madeKey(nowMs: number): Promise<StoredKey> {
  const { generateKeyPair, exportJWK } = await import("jose");
  const { privateKey } = await generateKeyPair(issuerAlgorithm, { extractable: true });
  const { kty, crv, x, y, d } = await exportJWK(privateKey);
  const jwk = jwkSchema.parse({ kty, crv, x, y, d });
  return { kid: randomBytes(8).toString("hex"), madeAtMs: nowMs, jwk };
}

async function imported({ kid, madeAtMs, jwk }: StoredKey): Promise<IssuerKey> {
  const { importJWK } = await import("jose");
  const { d: _, ...open } = jwk;
  const signing = await importJWK(jwk, issuerAlgorithm);
  const checking = await importJWK(open, issuerAlgorithm);
  if (!(signing instanceof CryptoKey) || !(checking instanceof CryptoKey)) {
    throw new Error("a key of the issuer is no key for signatures");
  }
  return { kid, madeAtMs, signing, checking };
}

/** Whole or not at all, durable, and readable by its owner alone from the first moment. */
function writePrivately(path: string, text: string): void {
  const written = `${path}.new`;
  const { O_CREAT, O_EXCL, O_WRONLY } = constants;
  // What a death has left there may be somebody else's, or open to them.
  rmSync(written, { force: true });
  const file = openSync(written, O_CREAT | O_EXCL | O_WRONLY, 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(written, path);
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
