// Bytes that were admitted and that the last measurement could not see yet, so that many uploads at once
// do not each count on the same free space.
import type { Admission } from "../registry/load-line.ts";

interface Entry {
  announced: number;
  received: number;
  /** Of `received`, what is not on the disk yet. */
  waiting: number;
  /** Of `received`, what the last measurement has seen. */
  measured: number;
  isOver: boolean;
}

export class Admissions {
  readonly #entries = new Set<Entry>();

  /** Bytes that are still to come, or have come since the last measurement began. */
  get pendingBytes(): number {
    let bytes = 0;
    for (const entry of this.#entries) {
      const all = entry.isOver ? entry.received : Math.max(entry.announced, entry.received);
      bytes += all - entry.measured;
    }
    return bytes;
  }

  add(announced: number): Omit<Admission, "checkUnannounced"> & {
    /** So many more are about to come, announced or not. */
    readonly expect: (bytes: number) => void;
  } {
    const entry: Entry = { announced, received: 0, waiting: 0, measured: 0, isOver: false };
    this.#entries.add(entry);
    return {
      expect: (bytes) => {
        entry.announced = Math.max(entry.announced, entry.received + bytes);
      },
      received: (bytes, waitingBytes) => {
        entry.received += bytes;
        entry.waiting = waitingBytes;
      },
      end: () => {
        entry.isOver = true;
        entry.waiting = 0;
        if (entry.received === entry.measured) this.#entries.delete(entry);
      },
    };
  }

  /** To be called before a measurement; what it returns, once the measurement is there. */
  mark(): () => void {
    const seen = [...this.#entries].map(
      (entry) => [entry, entry.received - entry.waiting] as const,
    );
    return () => {
      for (const [entry, received] of seen) {
        entry.measured = Math.max(entry.measured, received);
        if (entry.isOver && entry.received === entry.measured) this.#entries.delete(entry);
      }
    };
  }
}
