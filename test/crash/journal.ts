// What the steps tell while they are carried out: each when it begins and when it has been acknowledged.
// Plain data, so that a process can write it down, line by line, before it is killed.
import type { Step } from "./steps.ts";

export type Entry =
  | { readonly at: "begin"; readonly number: number; readonly step: Step }
  | { readonly at: "end"; readonly number: number }
  /** The upload of a `push-blob` has this id. */
  | { readonly at: "upload"; readonly number: number; readonly id: string }
  /** So many of its bytes have been acknowledged. */
  | { readonly at: "stored"; readonly number: number; readonly sizeBytes: number }
  | { readonly at: "finishing"; readonly number: number };

export class Journal {
  readonly entries: Entry[] = [];
  readonly #tell: (entry: Entry) => void;
  #next: number;

  /** `from`: the number of the first step, where another journal goes before. */
  constructor(tell: (entry: Entry) => void = () => undefined, from = 0) {
    this.#tell = tell;
    this.#next = from;
  }

  begin(step: Step): number {
    const number = this.#next++;
    this.write({ at: "begin", number, step });
    return number;
  }

  write(entry: Entry): void {
    this.entries.push(entry);
    this.#tell(entry);
  }
}
