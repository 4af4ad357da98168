// The main thread's side of the index worker: sends operations, matches answers, and gives up on a wait
// that is too long (the operation may still become durable; nobody was told that it had).
import { UnavailableError } from "../oci/index.ts";
import { requestOrigin } from "../registry/ports/request-origin.ts";
import { StorageError } from "../registry/ports/storage.ts";
import type { OperationArguments, OperationName, OperationResult, Writer } from "./operations.ts";
import { IndexDamagedError, IndexLostError } from "./sql.ts";
import type { Answer, FromWorker, PlainError, ToWorker } from "./worker-messages.ts";

/** How long a client waits for the index before it is told to come again (design §4). */
const waitMsMax = 5_000;
/** How often waits are looked at; they end at most this much late. */
const sweepMs = 500;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly deadlineMs: number;
}

export class WorkerWriter implements Writer {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #answered = 0;
  #sweep: Timer | null = null;
  #closed: Promise<void> | null = null;
  #failure: Error | null = null;

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** @throws IndexDamagedError, or the reason why the index cannot be opened. */
  static open(path: string, rootDirectory: string): Promise<WorkerWriter> {
    const worker = new Worker(new URL("./index-worker.ts", import.meta.url).href);
    const writer = new WorkerWriter(worker);
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if (data.kind === "opened") resolve(writer);
        if (data.kind === "refused") {
          worker.terminate();
          reject(revive(data.error));
        }
        if (data.kind === "answers") writer.#settleAll(data.answers);
      };
      worker.onerror = (event) => {
        const error = new Error(`the index writer failed: ${event.message}`);
        reject(error);
        writer.#fail(error);
      };
      writer.#send({ kind: "open", path, rootDirectory });
    });
  }

  get begun(): number {
    return this.#next - 1;
  }

  get answered(): number {
    return this.#answered;
  }

  run<Name extends OperationName>(
    name: Name,
    ...args: OperationArguments<Name>
  ): Promise<OperationResult<Name>> {
    const id = this.#next++;
    const deadlineMs = Date.now() + waitMsMax;
    const origin = requestOrigin.getStore();
    const call = { id, name, args, deadlineMs, origin };
    return this.#ask(id, { kind: "call", call }, deadlineMs) as Promise<OperationResult<Name>>;
  }

  async checkpoint(): Promise<void> {
    const id = this.#next++;
    await this.#ask(id, { kind: "checkpoint", id }, Number.POSITIVE_INFINITY);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const id = this.#next++;
    try {
      await this.#ask(id, { kind: "close", id }, Number.POSITIVE_INFINITY);
    } finally {
      this.#failure ??= new Error("the index is closed");
      if (this.#sweep !== null) clearInterval(this.#sweep);
      this.#worker.terminate();
    }
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #ask(id: number, message: ToWorker, deadlineMs: number): Promise<unknown> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#send(message);
    this.#sweep ??= setInterval(() => {
      this.#giveUp();
    }, sweepMs);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, deadlineMs });
    });
  }

  #giveUp(): void {
    const now = Date.now();
    for (const [id, waiting] of this.#waiting) {
      if (waiting.deadlineMs <= now) this.#settle({ id, ok: null });
    }
    if (this.#waiting.size === 0 && this.#sweep !== null) {
      clearInterval(this.#sweep);
      this.#sweep = null;
    }
  }

  #settleAll(answers: readonly Answer[]): void {
    // Late ones count too: what nobody waits for any more has changed the index all the same.
    this.#answered += answers.length;
    for (const answer of answers) this.#settle(answer);
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    if (answer.ok === true) waiting.resolve(answer.value);
    else if (answer.ok === false) waiting.reject(revive(answer.error));
    else {
      waiting.reject(
        new UnavailableError("the index could not take the change within 5 seconds; try again"),
      );
    }
  }

  #fail(error: Error): void {
    this.#failure = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function revive(error: PlainError): Error {
  if (error.damage) return new IndexDamagedError(error.message);
  if (error.name === "IndexLostError") return new IndexLostError();
  if (error.storageCode !== null) return new StorageError(error.storageCode, error.message);
  const revived = new Error(error.message);
  revived.name = error.name;
  return revived;
}
