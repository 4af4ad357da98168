// Drives the sequence of a walk: gathers its items into batches, pauses, and tells how far it has come.
import type { Difference, TreeProblem } from "../registry/ports/index.ts";
import type { FindingItem, PositionItem } from "./items.ts";
import type { Outbox } from "./outbox.ts";
import { Pacer, RatePacer, type WalkPacer } from "./pacer.ts";
import type { ScanItem, Seen } from "./scan.ts";
import type { FromScan } from "./scan-messages.ts";
import type { Found, VerifyCounts } from "./verify-findings.ts";

/** Differences in one transaction while nobody else writes, and while others are served (design §3). */
const batchMax = { alone: 4_000, beside: 100 } as const;
/** Problems or findings in one message. */
const toldMax = 500;
const progressMs = 500;

export interface DriveParts {
  readonly outbox: Outbox<FromScan>;
  readonly post: (message: FromScan) => void;
  readonly seen: Seen;
  /** Of verify, counted up on the way; null: another walk. */
  readonly counts: VerifyCounts | null;
  /** Whether clients are served meanwhile. */
  readonly isBeside: boolean;
  /** Bytes a second at most; null: as fast as it goes. */
  readonly rateBytes: number | null;
}

export class ScanDriver {
  readonly #parts: DriveParts;
  readonly #pacer: WalkPacer;
  readonly #batchMax: number;
  #differences: Difference[] = [];
  #problems: TreeProblem[] = [];
  #findings: Found[] = [];
  #toldMs = performance.now();

  constructor(parts: DriveParts) {
    this.#parts = parts;
    const { rateBytes, isBeside } = parts;
    this.#pacer =
      rateBytes === null
        ? new Pacer({ isGentle: isBeside })
        : new RatePacer({ bytesPerSecond: rateBytes });
    this.#batchMax = parts.isBeside ? batchMax.beside : batchMax.alone;
  }

  /** Resolves when everything has been sent and dealt with. @throws StoppedError */
  async drive(items: Iterable<ScanItem | FindingItem | PositionItem>): Promise<void> {
    for (const item of items) {
      if (item.kind === "position") await this.#settleAt(item);
      else this.#gather(item);
      if (this.#isFull()) await this.#flush();
      while (this.#pacer.isDue()) await this.#rest();
    }
    await this.#settle();
  }

  /** Waits, and hears a stop at the end. @throws StoppedError */
  async wait(ms: number): Promise<void> {
    await Bun.sleep(ms);
    this.#parts.outbox.check();
  }

  #gather(item: ScanItem | FindingItem): void {
    if (item.kind === "pulse") this.#pacer.read(item.readBytes ?? 0);
    else if (item.kind === "difference") this.#differences.push(item.difference);
    else if (item.kind === "problem") this.#problems.push(item.problem);
    else if (item.kind === "finding") this.#findings.push(item.found);
  }

  #isFull(): boolean {
    return (
      this.#differences.length >= this.#batchMax ||
      this.#problems.length >= toldMax ||
      this.#findings.length >= toldMax
    );
  }

  async #rest(): Promise<void> {
    await this.#pacer.rest();
    this.#parts.outbox.check();
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < progressMs) return;
    this.#toldMs = nowMs;
    const { seen, counts } = this.#parts;
    this.#parts.post({
      kind: "progress",
      seen: { ...seen },
      counts: counts === null ? null : { ...counts },
    });
  }

  /** A position is kept only when everything found before it has been dealt with. */
  async #settleAt({ position }: PositionItem): Promise<void> {
    await this.#settle();
    await this.#parts.outbox.send({ kind: "position", position });
  }

  async #settle(): Promise<void> {
    await this.#flush();
    await this.#parts.outbox.settle();
  }

  async #flush(): Promise<void> {
    const { outbox } = this.#parts;
    const differences = this.#differences;
    const problems = this.#problems;
    const findings = this.#findings;
    this.#differences = [];
    this.#problems = [];
    this.#findings = [];
    if (differences.length > 0) await outbox.send({ kind: "differences", differences });
    if (problems.length > 0) await outbox.send({ kind: "problems", problems });
    if (findings.length > 0) await outbox.send({ kind: "findings", findings });
  }
}
