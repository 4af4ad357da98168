// An htpasswd file as it is now: looked at again when it has changed, at most once a second. What
// cannot be read lets nobody in (fail closed), and says so once.
import type { Clock } from "../registry/ports/clock.ts";
import { readWatched, WatchedFiles } from "../watched-files.ts";
import { type HtpasswdEntries, parseHtpasswd } from "./htpasswd.ts";

/** Some 200,000 users. */
const fileBytesMax = 16 * 1024 * 1024;

export interface AuthLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

const nobody: HtpasswdEntries = { hashes: new Map(), unusableLines: [] };

export class HtpasswdFile {
  readonly #path: string;
  readonly #log: AuthLog;
  readonly #watched: WatchedFiles;
  #entries = nobody;
  #version = 0;

  constructor(path: string, clock: Clock, log: AuthLog) {
    this.#path = path;
    this.#log = log;
    this.#watched = new WatchedFiles([path], clock);
  }

  /** Changes whenever the entries do. */
  get version(): number {
    this.#look();
    return this.#version;
  }

  get hashes(): ReadonlyMap<string, string> {
    this.#look();
    return this.#entries.hashes;
  }

  #look(): void {
    if (!this.#watched.haveChanged()) return;
    this.#version += 1;
    this.#entries = this.#read();
  }

  #read(): HtpasswdEntries {
    try {
      const entries = parseHtpasswd(readWatched(this.#path, fileBytesMax));
      this.#log.info(`auth.htpasswd: ${this.#path} names ${entries.hashes.size} users`);
      if (entries.unusableLines.length > 0) {
        const lines = entries.unusableLines.slice(0, 10).join(", ");
        this.#log.warn(
          `auth.htpasswd: ${this.#path}: nobody can log in by line ${lines}; expected user:hash with a bcrypt hash (htpasswd -B, or registry htpasswd add)`,
        );
      }
      return entries;
    } catch (error) {
      const help = "nobody can log in until it can be read; make it with registry htpasswd add";
      this.#log.error(`auth.htpasswd: ${this.#path}: ${messageOf(error)}: ${help}`);
      return nobody;
    }
  }
}

/** Why nobody could log in by a file that is there for it; null: it can be used. */
export function htpasswdProblem(path: string): string | null {
  try {
    const { hashes, unusableLines } = parseHtpasswd(readWatched(path, fileBytesMax));
    const isOdd = hashes.size === 0 && unusableLines.length > 0;
    return isOdd ? "none of its lines is user:hash with a bcrypt hash" : null;
  } catch (error) {
    return messageOf(error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
