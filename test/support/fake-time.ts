// A clock and timers that stand still until a test lets time pass.

/** Lets everything that can go on without time go on. */
async function settle(): Promise<void> {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
}

export class FakeTime {
  readonly #rings = new Map<object, { readonly atMs: number; readonly ring: () => void }>();

  constructor(public nowMs: number) {}

  now(): number {
    return this.nowMs;
  }

  set(ms: number, ring: () => void): () => void {
    const key = {};
    this.#rings.set(key, { atMs: this.nowMs + ms, ring });
    return () => this.#rings.delete(key);
  }

  /** The clock is set; timers are not, and ring when they would have. */
  setClock(nowMs: number): void {
    const shiftMs = nowMs - this.nowMs;
    for (const [key, { atMs, ring }] of this.#rings) {
      this.#rings.set(key, { atMs: atMs + shiftMs, ring });
    }
    this.nowMs = nowMs;
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#rings].toSorted(([, a], [, b]) => a.atMs - b.atMs);
      if (next === undefined || next[1].atMs > untilMs) break;
      this.#rings.delete(next[0]);
      this.nowMs = next[1].atMs;
      next[1].ring();
      await settle();
    }
    this.nowMs = untilMs;
  }
}
