// Remembers what look-ups have answered lately, so that what is pulled again and again is not asked of
// SQLite each time. Never answers what a change may have made untrue: this process alone changes the
// index, so an answer holds until the next change is begun, and nothing is remembered while one is
// under way.
import type { Writer } from "./operations.ts";

/** Of each kind of look-up; some 300 bytes each. */
const answersMax = 4096;

export class RecentAnswers<Answer> {
  readonly #writer: Pick<Writer, "begun" | "answered">;
  readonly #answers = new Map<string, Answer>();
  /** How many changes had been begun when the first of these answers was given. */
  #begun = 0;
  hits = 0;
  misses = 0;

  constructor(writer: Pick<Writer, "begun" | "answered">) {
    this.#writer = writer;
  }

  get(key: string): Answer | undefined {
    const answer = this.#areTrue() ? this.#answers.get(key) : undefined;
    if (answer === undefined) this.misses += 1;
    else this.hits += 1;
    return answer;
  }

  /** @param answer was given by the index after the last look at `get`, without a wait in between. */
  add(key: string, answer: Answer): void {
    if (!this.#areTrue()) return;
    if (this.#answers.size >= answersMax) {
      const [oldest] = this.#answers.keys();
      if (oldest !== undefined) this.#answers.delete(oldest);
    }
    this.#answers.set(key, answer);
  }

  #areTrue(): boolean {
    const { begun, answered } = this.#writer;
    if (begun === this.#begun && answered === begun) return true;
    // A change that is under way becomes visible to look-ups at a moment that nobody here knows.
    this.#answers.clear();
    this.#begun = begun;
    return answered === begun;
  }
}
