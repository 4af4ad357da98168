// The worker thread that owns the writing connection: collects the calls that wait, runs them as one
// transaction, and answers when it is durable. The main thread's loop never waits for this disk.
// A composition file: it puts the tree's probe beside the index, as compose.ts does for the rest.
import { StorageError } from "../registry/ports/storage.ts";
import { FilesystemTreeProbe } from "../storage/filesystem/tree-probe.ts";
import { type Call, type Outcome, runBatch } from "./batch.ts";
import { OpenFiles } from "./open-files.ts";
import type { WriteContext } from "./operations.ts";
import { IndexDamagedError, openWriter, translateError } from "./sql.ts";
import type { Answer, FromWorker, PlainError, ToWorker } from "./worker-messages.ts";

declare const self: Worker;

interface Opened {
  readonly context: WriteContext;
  readonly files: OpenFiles;
}

let opened: Opened | null = null;
let waiting: Call[] = [];
let scheduled = false;

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
    const context = { sql: openWriter(path), probe: new FilesystemTreeProbe(rootDirectory) };
    opened = { context, files: new OpenFiles([path, `${path}-wal`]) };
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
  const { context, files } = opened;
  const outcomes = runBatch(context, waiting, () => files.areUnchanged());
  waiting = waiting.slice(outcomes.length);
  if (outcomes.some(isFull)) makeRoom(opened);
  post({ kind: "answers", answers: outcomes.map(answerOf) });
  schedule();
}

function isFull(outcome: Outcome): boolean {
  if (outcome.ok !== false) return false;
  return outcome.error instanceof StorageError && outcome.error.code === "full";
}

/** What the log holds takes less in the file, so that whoever comes next may find space. */
function makeRoom({ context, files }: Opened): void {
  try {
    context.sql.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // As full as before: those who asked have been told.
  }
  files.haveShrunk();
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
  opened.context.sql.run("PRAGMA wal_checkpoint(TRUNCATE)");
  opened.files.haveShrunk();
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
        opened?.context.sql.close();
        opened = null;
      });
      break;
  }
};
