// Runs operations inside one transaction, a savepoint each: one fsync makes all of them durable, and one
// that fails takes nothing of the others with it (group commit).
import { StorageError } from "../registry/ports/storage.ts";
import type { RequestOrigin } from "../registry/ports/request-origin.ts";
import { foreseeEvents, recordEvents } from "./event-tellers.ts";
import { dropOldestEvents } from "./events.ts";
import { type OperationName, operations, type WriteContext } from "./operations.ts";
import { IndexLostError, isBusy, translateError } from "./sql.ts";

export interface Call {
  readonly id: number;
  readonly name: OperationName;
  readonly args: readonly unknown[];
  /** Not begun after this; milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** It has found the disk full, and may use what is kept for that. */
  readonly usesReserve?: boolean;
  /** That was not enough: the oldest events give way to it. */
  readonly dropsEvents?: boolean;
  /** The request that it is done for, as events tell it. */
  readonly origin?: RequestOrigin | undefined;
}

export type Outcome =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: unknown }
  /** It waited too long and was not begun, or came to nothing for want of the lock. */
  | { readonly id: number; readonly ok: null };

/**
 * What a power cut may undo: an upload session, whose bytes it may undo too until the upload ends. Its
 * client begins again. A kill undoes nothing, and the next commit of anything else makes it durable.
 */
const mayBeUndone: ReadonlySet<OperationName> = new Set(["beginUpload", "touchUpload"]);

/** A batch holds the write lock no longer than this, so that everybody's wait stays short (design §3). */
const batchMsMax = 4;

/**
 * Runs as many of the calls as fit into one batch, at least one, and commits.
 * @param stillOurs whether the files on disk are still those that are open (INV-8); asked before the
 *   transaction, whose writing would hide a file that was cut short, and after its commit.
 * @returns outcomes in order; fewer than calls when the time was up.
 */
export function runBatch(
  context: WriteContext,
  calls: readonly Call[],
  stillOurs: () => boolean,
): Outcome[] {
  const outcomes: Outcome[] = [];
  const started = performance.now();
  try {
    if (!stillOurs()) throw new IndexLostError();
    context.sql.syncCommits(!calls.every(({ name }) => mayBeUndone.has(name)));
    context.sql.run("BEGIN IMMEDIATE");
    for (const call of calls) {
      outcomes.push(runOne(context, call));
      if (performance.now() - started > batchMsMax) break;
    }
    context.room?.claim();
    context.sql.run("COMMIT");
    context.room?.committed();
    if (!stillOurs()) throw new IndexLostError();
    return outcomes;
  } catch (error) {
    rollBack(context);
    if (isBusy(error)) return calls.map(({ id }) => ({ id, ok: null }));
    const failed = outcomes.length === 0 ? calls.slice(0, 1) : calls.slice(0, outcomes.length);
    const known = translateError(error);
    // What is too much for the disk may be the doing of one of them: each gets a try of its own.
    if (failed.length > 1 && known instanceof StorageError && known.code === "full") {
      return failed.flatMap((call) => runBatch(context, [call], stillOurs));
    }
    return failed.map(({ id }) => ({ id, ok: false, error: known }));
  }
}

function runOne(context: WriteContext, call: Call): Outcome {
  if (Date.now() > call.deadlineMs) return { id: call.id, ok: null };
  context.sql.run("SAVEPOINT operation");
  try {
    if (call.usesReserve === true) context.room?.giveUpReserve();
    if (call.dropsEvents === true) dropOldestEvents(context.sql);
    const operation = operations[call.name] as (
      context: WriteContext,
      ...args: readonly unknown[]
    ) => unknown;
    const foreseen = foreseeEvents(context.sql, call);
    const value = operation(context, ...call.args);
    recordEvents(context.sql, call, { value, foreseen });
    context.sql.run("RELEASE operation");
    return { id: call.id, ok: true, value };
  } catch (error) {
    // A full or failing disk rolls the whole transaction back by itself: then nobody is answered "done".
    if (!context.sql.database.inTransaction) throw error;
    context.sql.run("ROLLBACK TO operation");
    context.sql.run("RELEASE operation");
    return { id: call.id, ok: false, error: translateError(error) };
  }
}

function rollBack({ sql, room }: WriteContext): void {
  if (sql.database.inTransaction) sql.run("ROLLBACK");
  room?.rolledBack();
}
