// A writer in this very thread, one transaction an operation: for an index in memory, and for tests.
import { requestOrigin } from "../registry/ports/request-origin.ts";
import { type Call, runBatch } from "./batch.ts";
import type {
  OperationArguments,
  OperationName,
  OperationResult,
  WriteContext,
  Writer,
} from "./operations.ts";

export class InlineWriter implements Writer {
  readonly #context: WriteContext;
  #closed = false;
  begun = 0;
  answered = 0;

  constructor(context: WriteContext) {
    this.#context = context;
  }

  async run<Name extends OperationName>(
    name: Name,
    ...args: OperationArguments<Name>
  ): Promise<OperationResult<Name>> {
    const origin = requestOrigin.getStore();
    const call: Call = { id: 0, name, args, deadlineMs: Number.POSITIVE_INFINITY, origin };
    this.begun += 1;
    const [outcome] = runBatch(this.#context, [call], () => true);
    this.answered += 1;
    if (outcome?.ok === true) return outcome.value as OperationResult<Name>;
    throw outcome?.ok === false ? outcome.error : new Error(`${name} was not run`);
  }

  checkpoint(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    if (!this.#closed) this.#context.sql.close();
    this.#closed = true;
    return Promise.resolve();
  }
}
