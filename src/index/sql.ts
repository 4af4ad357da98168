// A thin, typed hold on one SQLite connection: cached statements, transactions, and how it is opened.
// Knows no tables but the version of the schema. Errors of the disk become StorageError.
import { Database, type SQLQueryBindings, SQLiteError, type Statement } from "bun:sqlite";
import { StorageError } from "../registry/ports/storage.ts";
import { migrations } from "./schema.ts";

export type Bindings = SQLQueryBindings[];

export class Sql {
  /** All of them, for good: the texts are the program's own, and Bun's cache keeps only twenty. */
  readonly #statements = new Map<string, Statement<unknown, Bindings>>();

  /** As openWriter sets it. */
  #syncsCommits = true;

  constructor(readonly database: Database) {}

  #statement<Row>(text: string): Statement<Row, Bindings> {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.database.prepare<unknown, Bindings>(hideValues(text));
      this.#statements.set(text, statement);
    }
    return statement as Statement<Row, Bindings>;
  }

  get<Row>(text: string, ...values: Bindings): Row | null {
    return this.#statement<Row>(text).get(...values);
  }
  all<Row>(text: string, ...values: Bindings): Row[] {
    return this.#statement<Row>(text).all(...values);
  }
  /** How many rows were changed. */
  run(text: string, ...values: Bindings): number {
    return this.#statement(text).run(...values).changes;
  }
  /** The new row's number. */
  insert(text: string, ...values: Bindings): number {
    return Number(this.#statement(text).run(...values).lastInsertRowid);
  }
  has(text: string, ...values: Bindings): boolean {
    return this.get(text, ...values) !== null;
  }
  /** Several statements, none with values. */
  script(text: string): void {
    this.database.run(text);
  }
  /** Runs look-ups that shall all see one state, whatever is committed meanwhile. */
  inOneState<Result>(questions: () => Result): Result {
    this.run("BEGIN");
    try {
      return questions();
    } finally {
      // A failing disk may have ended it already.
      if (this.database.inTransaction) this.run("COMMIT");
    }
  }
  /** Whether the commits from now on wait for the disk. Not inside a transaction. */
  syncCommits(wanted: boolean): void {
    if (wanted === this.#syncsCommits) return;
    this.script(`PRAGMA synchronous = ${wanted ? "FULL" : "NORMAL"}`);
    this.#syncsCommits = wanted;
  }
  close(): void {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#statements.clear();
    this.database.close(true);
  }
}

/**
 * Hides the values from SQLite's planner, which otherwise looks at them and plans a statement anew for
 * each (10 to 75 microseconds where running it takes 2). None of our texts holds a "?" in a string.
 */
function hideValues(text: string): string {
  return text.replaceAll(/\?\d*/g, "ifnull($&, NULL)");
}

/** How long a connection waits for the other one's checkpoint or commit. */
const busyTimeoutMs = 4_000;

/**
 * Opens the connection that writes, and brings the schema up to date.
 * @throws IndexTooNewError when a newer program wrote the file.
 */
export function openWriter(path: string): Sql {
  const sql = new Sql(new Database(path, { create: true, readwrite: true, strict: true }));
  try {
    sql.script(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    // A small page cache and log: the index is read far more often than written. FULL: what is answered
    // is durable (INV-2). MEMORY: else what undoes one operation of a batch goes through a file.
    sql.script(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384",
    );
    migrate(sql);
    return sql;
  } catch (error) {
    sql.close();
    throw error;
  }
}

/** Opens the connection that reads beside the writer. Not mapped: a file cut short would end the process. */
export function openReader(path: string): Sql {
  const sql = new Sql(new Database(path, { readonly: true, strict: true }));
  sql.script(
    `PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA query_only = 1; PRAGMA cache_size = -16384`,
  );
  return sql;
}

/** The index file is no database or is damaged: only a rebuild from the tree helps. */
export class IndexDamagedError extends Error {
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.name = "IndexDamagedError";
  }
}

/** The files on disk are no longer those that are open: nothing is acknowledged any more (INV-8). */
export class IndexLostError extends StorageError {
  constructor() {
    super("io", "the files of the index are no longer those that were opened");
    this.name = "IndexLostError";
  }
}

export class IndexTooNewError extends Error {
  constructor(found: number) {
    super(
      `the index has version ${found}, this program knows versions up to ${migrations.length}; start the newer program, or remove the index and let this one build its own from the tree`,
    );
    this.name = "IndexTooNewError";
  }
}

export function migrate(sql: Sql): void {
  const found = sql.get<{ user_version: number }>("PRAGMA user_version")?.user_version ?? 0;
  if (found > migrations.length) throw new IndexTooNewError(found);
  for (let version = found; version < migrations.length; version++) {
    sql.script("BEGIN IMMEDIATE");
    sql.script(migrations[version] ?? "");
    sql.script(`PRAGMA user_version = ${version + 1}`);
    sql.script("COMMIT");
  }
}

/** Damage and a full or failing disk in words that others know; everything else as it is. */
export function translateError(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const code = error.code ?? "";
  // Short: a page that was written is not there, so the log was cut under us.
  const isCut = code === "SQLITE_IOERR_SHORT_READ";
  if (isCut || code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT")) {
    return new IndexDamagedError(error.message, { cause: error });
  }
  if (code === "SQLITE_FULL") {
    return new StorageError("full", "the disk that holds the index is full", { cause: error });
  }
  if (code.startsWith("SQLITE_IOERR") || code.startsWith("SQLITE_READONLY")) {
    return new StorageError("io", `the index cannot be written: ${error.message}`, {
      cause: error,
    });
  }
  if (code === "SQLITE_CANTOPEN") {
    return new StorageError("io", `the index cannot be opened: ${error.message}`, {
      cause: error,
    });
  }
  return error;
}

/** Somebody else (a shell on the same file, say) has held the lock for longer than we wait. */
export function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && error.code?.startsWith("SQLITE_BUSY") === true;
}
