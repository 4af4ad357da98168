// One process owns a root. The kernel's lock on `plimsoll/owner.lock` (an exclusive SQLite transaction:
// Bun has no flock) dies with the process however it dies; `plimsoll/owner.json` only says who it is.
// The lock file must never be opened twice in one process: closing either handle would drop the lock.
import { Database, SQLiteError } from "bun:sqlite";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { networkFileSystem } from "./network-file-system.ts";

/** Our own directory below the root; everything else there is distribution's tree. */
export const ownDirectory = "plimsoll";

/** On a network file system, where the lock may not hold, the owner says this often that it lives. */
const heartbeatMs = 10_000;
/** Silent for this long, an owner on another host counts as dead: several beats, for a slow network. */
const silentMsMax = 60_000;

const ownerSchema = z.object({
  pid: z.number(),
  host: z.string(),
  command: z.string(),
  address: z.string().nullable(),
  since: z.string(),
});

/** Who owns a root: for messages, never for decisions on the same host. */
export type Owner = z.infer<typeof ownerSchema>;

/** Another process owns the root. `owner` null: it did not say who it is. */
export class RootOwnedError extends Error {
  constructor(
    readonly rootDirectory: string,
    readonly owner: Owner | null,
  ) {
    super(`${rootDirectory} is in use by ${describeOwner(owner)}`);
    this.name = "RootOwnedError";
  }
}

function describeOwner(owner: Owner | null): string {
  if (owner === null) return "another registry process";
  const address = owner.address === null ? "" : `, which listens on ${owner.address}`;
  return `registry ${owner.command} (process ${owner.pid} on ${owner.host}, since ${owner.since})${address}`;
}

interface OwnerStart {
  readonly owner: Owner;
  readonly network: string | null;
}

/** @throws RootOwnedError when another process owns the root now. Makes nothing. */
export function refuseIfOwned(rootDirectory: string): void {
  if (!existsSync(join(rootDirectory, ownDirectory, "owner.lock"))) return;
  OwnerLock.acquire(rootDirectory, "serve").release();
}

export class OwnerLock {
  readonly #database: Database;
  readonly #recordPath: string;
  #owner: Owner;
  #heartbeat: Timer | null = null;

  /** The kind of network file system that the root is on, or null for a local one. */
  readonly network: string | null;

  private constructor(database: Database, recordPath: string, start: OwnerStart) {
    this.#database = database;
    this.#recordPath = recordPath;
    this.#owner = start.owner;
    this.network = start.network;
    this.#write();
    if (this.network !== null) {
      this.#heartbeat = setInterval(() => {
        this.#write();
      }, heartbeatMs);
      this.#heartbeat.unref();
    }
  }

  /**
   * Becomes the owner of a root, making the directories that are missing.
   * @throws RootOwnedError when another process is, or another host seems to be.
   */
  static acquire(rootDirectory: string, command: string): OwnerLock {
    const directory = join(rootDirectory, ownDirectory);
    mkdirSync(directory, { recursive: true });
    const recordPath = join(directory, "owner.json");
    const database = lockFile(join(directory, "owner.lock"), rootDirectory, recordPath);
    try {
      const network = networkFileSystem(rootDirectory);
      if (network !== null) refuseOtherHost(rootDirectory, recordPath);
      const since = new Date().toISOString();
      const owner = { pid: process.pid, host: hostname(), command, address: null, since };
      return new OwnerLock(database, recordPath, { owner, network });
    } catch (error) {
      database.close(true);
      throw error;
    }
  }

  /** Says where the owner listens, for the messages of those who come later. */
  announce(address: string): void {
    this.#owner = { ...this.#owner, address };
    this.#write();
  }

  release(): void {
    if (this.#heartbeat !== null) clearInterval(this.#heartbeat);
    rmSync(this.#recordPath, { force: true });
    this.#database.close(true);
  }

  #write(): void {
    const temporary = `${this.#recordPath}.tmp`;
    try {
      writeFileSync(temporary, `${JSON.stringify(this.#owner)}\n`);
      renameSync(temporary, this.#recordPath);
    } catch (error) {
      // A full disk must not keep anybody from owning the root: the lock does, this is for messages.
      if (!isForWantOfSpace(error)) throw error;
      rmSync(temporary, { force: true });
      this.#beat();
    }
  }

  /** Says that the owner lives, on a disk with no space to say more. */
  #beat(): void {
    try {
      const now = new Date();
      utimesSync(this.#recordPath, now, now);
    } catch (error) {
      // There is no record yet, and no space for one.
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
}

function isForWantOfSpace(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && /^(?:ENOSPC|EDQUOT)$/.test(String(error.code))
  );
}

function lockFile(path: string, rootDirectory: string, recordPath: string): Database {
  const database = new Database(path, { create: true, readwrite: true });
  try {
    // In memory: a journal on disk would want space, and nothing is ever written.
    database.run("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY");
    database.run("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close(true);
    if (error instanceof SQLiteError && error.code?.startsWith("SQLITE_BUSY") === true) {
      throw new RootOwnedError(rootDirectory, readOwner(recordPath));
    }
    throw new Error(`${path} cannot be locked: ${String(error)}`, { cause: error });
  }
}

function readOwner(path: string): Owner | null {
  try {
    return ownerSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    // Who it is only makes the message better: the lock has already said that there is somebody.
    return null;
  }
}

function refuseOtherHost(rootDirectory: string, recordPath: string): void {
  const owner = readOwner(recordPath);
  if (owner === null || owner.host === hostname()) return;
  const silentMs = Date.now() - statSync(recordPath).mtimeMs;
  if (silentMs < silentMsMax) throw new RootOwnedError(rootDirectory, owner);
}
