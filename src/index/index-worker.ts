// The worker thread that owns the writing connection: collects the calls that wait, runs them as one
// transaction, and answers when it is durable. The main thread's loop never waits for this disk.
// A composition file: it puts the tree's probe beside the index, as compose/ does for the rest.
import { StorageError } from "../registry/ports/storage.ts";
import { FilesystemTreeProbe } from "../storage/filesystem/tree-probe.ts";
import { type Call, type Outcome, runBatch } from "./batch.ts";
import { OpenFiles } from "./open-files.ts";
import { adding, type WriteContext } from "./operations.ts";
import { Room } from "./room.ts";
import { IndexDamagedError, openWriter, translateError } from "./sql.ts";
import { countAll } from "./usage-count.ts";
import type { Answer, FromWorker, PlainError, ToWorker } from "./worker-messages.ts";

declare const self: Worker;

interface Opened {
  readonly path: string;
  readonly context: WriteContext & { readonly room: Room };
  readonly files: OpenFiles;
}

/** How often a disk that was full is asked whether it can give back what is kept. */
const refillMs = 1_000;

let opened: Opened | null = null;
let waiting: Call[] = [];
let scheduled = false;
let refillAtMs = 0;

function post(message: FromWorker): void {
  self.postMessage(message);
}

function plain(error: unknown): PlainError {
  const known = error instanceof Error ? error : new Error(String(error));
  return {
    name: known.name,
    message: known.message,
    storageCode: known instanceof StorageError ? known.code : null,
    damage: known instanceof IndexDamagedError,
  };
}

function open(path: string, rootDirectory: string): void {
  try {
    const sql = openWriter(path);
    countAll(sql);
    const probe = new FilesystemTreeProbe(rootDirectory);
    const context = { sql, probe, room: new Room(sql, path) };
    opened = { path, context, files: new OpenFiles([path, `${path}-wal`]) };
    post({ kind: "opened" });
  } catch (error) {
    post({ kind: "refused", error: plain(translateError(error)) });
  }
}

function answerOf(outcome: Outcome): Answer {
  return outcome.ok === false ? { ...outcome, error: plain(outcome.error) } : outcome;
}

function drain(): void {
  scheduled = false;
  if (opened === null || waiting.length === 0) return;
  const ours = opened;
  const { context, files } = ours;
  refill(ours);
  const outcomes = runBatch(context, waiting, () => files.areUnchanged(context.room.neededBytes));
  const calls = waiting.slice(0, outcomes.length);
  waiting = waiting.slice(outcomes.length);
  const answers = outcomes.map((outcome, n) => {
    const call = calls[n];
    return call !== undefined && isFull(outcome) ? runOnFullDisk(ours, call) : outcome;
  });
  post({ kind: "answers", answers: answers.map(answerOf) });
  schedule();
}

function isFull(outcome: Outcome): boolean {
  if (outcome.ok !== false) return false;
  return outcome.error instanceof StorageError && outcome.error.code === "full";
}

/** Once more, by itself, in a log that begins anew; a removal also with the space that is kept for it, then with that of events. */
function runOnFullDisk(ours: Opened, call: Call): Outcome {
  const outcome = runInEmptyLog(ours, call);
  if (!isFull(outcome) || adding.has(call.name)) return outcome;
  const last = runInEmptyLog(ours, { ...call, usesReserve: true });
  if (!isFull(last)) return last;
  return runInEmptyLog(ours, { ...call, usesReserve: true, dropsEvents: true });
}

function runInEmptyLog({ context, files }: Opened, call: Call): Outcome {
  try {
    context.room.emptyLog();
    const [outcome] = runBatch(context, [call], () => files.areUnchanged(context.room.neededBytes));
    if (outcome !== undefined) return outcome;
  } catch (error) {
    return { id: call.id, ok: false, error: translateError(error) };
  }
  throw new Error(`${call.name} was not run`);
}

/** What removals used up on a full disk is kept again once there is space, before clients add anything. */
function refill({ context, files }: Opened): void {
  if (
    !context.room.isShort ||
    Date.now() < refillAtMs ||
    !files.areUnchanged(context.room.neededBytes)
  )
    return;
  refillAtMs = Date.now() + refillMs;
  try {
    context.room.emptyLog();
    context.room.fill();
  } catch {
    // An index that is damaged, say: whoever asks for a change next is told.
  }
}

/** Lets the calls that have already arrived come in before the transaction begins. */
function schedule(): void {
  if (scheduled || waiting.length === 0) return;
  scheduled = true;
  setImmediate(drain);
}

/** After all that waits. A log that some other program still reads is left for the next time. */
function checkpoint(): void {
  if (opened === null) return;
  while (waiting.length > 0) drain();
  opened.context.room.fill();
  opened.context.room.shrinkLog();
  opened.files.haveShrunk();
}

/** Leaves a log that keeps its blocks and holds nothing, so that the database is complete by itself. */
function close(): void {
  if (opened === null) return;
  const { path, context, files } = opened;
  const isEmptied = context.room.emptyLog() && files.areUnchanged(context.room.neededBytes);
  context.sql.close();
  opened = null;
  if (isEmptied) Room.voidLog(path);
}

function answer(id: number, work: () => void): void {
  try {
    work();
    post({ kind: "answers", answers: [{ id, ok: true, value: undefined }] });
  } catch (error) {
    post({ kind: "answers", answers: [{ id, ok: false, error: plain(translateError(error)) }] });
  }
}

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  switch (data.kind) {
    case "open":
      open(data.path, data.rootDirectory);
      break;
    case "call":
      waiting.push(data.call);
      schedule();
      break;
    case "checkpoint":
      answer(data.id, checkpoint);
      break;
    case "close":
      answer(data.id, () => {
        checkpoint();
        close();
      });
      break;
  }
};
