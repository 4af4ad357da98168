// Space that is kept for the index, so that a full disk stops pushes and never a deletion, a collection or
// a start: a log that keeps its size, pages inside the database that removals may use up, and a file that
// is made longer before a commit and not by the checkpoint after it. Never waits for space.
// Design: docs/design/write-ordering.md, "A full disk".
import { constants } from "bun:sqlite";
import { closeSync, fsyncSync, openSync, statSync, writeSync } from "node:fs";
import { StorageError } from "../registry/ports/storage.ts";
import type { Sql } from "./sql.ts";

const kib = 1024;
/** The file grows by single blocks of the disk, so that `du` of an empty registry is small. */
const growthBytes = 4 * kib;
/**
 * The log never gets shorter than the least, which takes the deletion of an image from a small index, with
 * what undoing it needs: some 40 of its 48 pages. In a large one what a removal touches lies further apart,
 * and the log may be larger.
 */
const logBytes = { least: 100 * kib, most: 4 * kib * kib, shareOfIndex: 1 / 4 };
/** Pages that only removals may use: what a deletion puts into the queue of the collector goes there. */
const reserveBytes = { least: 24 * kib, most: 512 * kib, shareOfIndex: 1 / 16 };
/** The first bytes of a log; without them nothing in it counts. */
const logHeaderBytes = 32;

export class Room {
  readonly #sql: Sql;
  readonly #path: string;
  readonly #pageBytes: number;
  /** As much of the database's file as is known to have its blocks. */
  #allocatedBytes: number;
  /** What the transaction needs, and what those that are committed need. */
  #claimedBytes: number;
  #neededBytes: number;
  #isReserved = false;

  constructor(sql: Sql, path: string) {
    this.#sql = sql;
    this.#path = path;
    this.#pageBytes = sql.get<{ page_size: number }>("PRAGMA page_size")?.page_size ?? growthBytes;
    const { fileControl } = settings(sql);
    fileControl(constants.SQLITE_FCNTL_CHUNK_SIZE, growthBytes);
    // Else the last one to close removes the log, and the next start has to find space for it.
    fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1);
    this.#neededBytes = this.#pagesBytes();
    this.#claimedBytes = this.#neededBytes;
    // What a process that was killed had claimed beyond, the next checkpoint cuts off.
    this.#allocatedBytes = Math.min(statSync(path).size, this.#neededBytes);
    this.fill();
  }

  /**
   * Within a transaction, before its commit: there are blocks for every page that it has made, so that the
   * checkpoint cannot be the one to find the disk full. @throws StorageError `full`
   */
  claim(): void {
    const wanted = this.#pagesBytes();
    this.#claimedBytes = wanted;
    if (wanted <= this.#allocatedBytes) return;
    const hint = new BigInt64Array([BigInt(wanted)]);
    const code = this.#sql.database.fileControl(constants.SQLITE_FCNTL_SIZE_HINT, hint);
    if (code !== 0) throw new StorageError("full", "the disk that holds the index is full");
    this.#allocatedBytes = Math.ceil(wanted / growthBytes) * growthBytes;
  }

  /** After the commit of what was claimed. */
  committed(): void {
    this.#neededBytes = this.#claimedBytes;
  }

  /** What was claimed was not needed: the next checkpoint gives it back. */
  rolledBack(): void {
    this.#claimedBytes = this.#neededBytes;
    this.#allocatedBytes = Math.min(this.#allocatedBytes, this.#neededBytes);
  }

  /** So long the database's file must be, whatever is given back. */
  get neededBytes(): number {
    return this.#neededBytes;
  }

  /** Within the transaction of a removal that has found the disk full. */
  giveUpReserve(): void {
    this.#sql.run("DELETE FROM reserve");
    this.#isReserved = false;
  }

  /** Whether removals have used the reserve up, or it was never there. */
  get isShort(): boolean {
    return !this.#isReserved;
  }

  /** Keeps what should be kept, as far as there is space. Not within a transaction. */
  fill(): void {
    this.#isReserved = this.#fillReserve();
    this.#lengthenLog();
  }

  /** Everything in the log is taken over into the database, so that the log begins anew. True: all of it. */
  emptyLog(): boolean {
    const row = this.#sql.get<{ busy: number }>("PRAGMA wal_checkpoint(RESTART)");
    return row?.busy === 0;
  }

  /** A log that has grown gets its kept size again; the blocks that it keeps it never lets go of. */
  shrinkLog(): void {
    const kept = this.#keptLogBytes();
    if (!this.emptyLog() || this.#logSize() <= kept) return;
    this.#sql.run(`PRAGMA journal_size_limit = ${kept}`);
    // The first commit into a log that begins anew cuts it to the limit; this one changes nothing.
    const version = this.#sql.get<{ user_version: number }>("PRAGMA user_version")?.user_version;
    this.#sql.run(`PRAGMA user_version = ${version ?? 0}`);
    this.#sql.run("PRAGMA journal_size_limit = -1");
  }

  /** After the last connection is closed: what the log still holds is in the database, and counts no more. */
  static voidLog(path: string): void {
    const fd = openSync(`${path}-wal`, "r+");
    try {
      writeSync(fd, new Uint8Array(logHeaderBytes), 0, logHeaderBytes, 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  #fillReserve(): boolean {
    const wanted = within(reserveBytes, this.#allocatedBytes);
    const sql = this.#sql;
    try {
      const found = sql.get<{ bytes: number | null }>(
        "SELECT sum(length(filling)) AS bytes FROM reserve",
      );
      if ((found?.bytes ?? 0) >= wanted) return true;
      sql.run("BEGIN IMMEDIATE");
      sql.run("DELETE FROM reserve");
      sql.run("INSERT INTO reserve VALUES (zeroblob(?))", wanted);
      this.claim();
      sql.run("COMMIT");
      this.committed();
      return true;
    } catch (error) {
      if (sql.database.inTransaction) sql.run("ROLLBACK");
      this.rolledBack();
      // No space for it now; whatever else is wrong with the disk, the next change will tell.
      if (isForWantOfSpace(error)) return false;
      throw error;
    }
  }

  /** What lies behind the last commit of a log counts for nothing, whatever it is. */
  #lengthenLog(): void {
    const missing = this.#keptLogBytes() - this.#logSize();
    if (missing <= 0) return;
    const fd = openSync(`${this.#path}-wal`, "a");
    try {
      writeSync(fd, new Uint8Array(missing));
    } catch (error) {
      if (!isForWantOfSpace(error)) throw error;
    } finally {
      closeSync(fd);
    }
  }

  #pagesBytes(): number {
    const pages = this.#sql.get<{ page_count: number }>("PRAGMA page_count")?.page_count ?? 0;
    return pages * this.#pageBytes;
  }

  #keptLogBytes(): number {
    return within(logBytes, this.#allocatedBytes);
  }

  #logSize(): number {
    return statSync(`${this.#path}-wal`).size;
  }
}

function settings({ database }: Sql): { fileControl: (operation: number, value: number) => void } {
  return {
    fileControl: (operation, value) => {
      const code = database.fileControl(operation, value);
      if (code !== 0) throw new Error(`SQLite refused a setting of the index's file (${code})`);
    },
  };
}

interface Share {
  readonly least: number;
  readonly most: number;
  readonly shareOfIndex: number;
}

function within({ least, most, shareOfIndex }: Share, indexBytes: number): number {
  const share = Math.ceil((indexBytes * shareOfIndex) / growthBytes) * growthBytes;
  return Math.max(least, Math.min(most, share));
}

function isForWantOfSpace(error: unknown): boolean {
  if (error instanceof StorageError) return error.code === "full";
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code === "SQLITE_FULL" || code === "ENOSPC" || code === "EDQUOT";
}
