// A progress bar at the foot of a terminal, on stderr, with rate and time left. Lines are printed above it:
// everything that a command prints goes through here, so that the two are never mixed. Where nobody sees a
// terminal (a pipe, CI, TERM=dumb, --quiet) there is no bar, and lines go out as they are.
import { writeSync } from "node:fs";
import { Format, SingleBar, type Options } from "cli-progress";

const stdout = 1;
const stderr = 2;
/** How often the bar is drawn. */
const fps = 8;
/** Updates closer to each other than this are left out: what is left is estimated from ten of them. */
const updateMsMin = 250;

/** How far a command has come. */
export interface Progress {
  /** What it is doing: "reading blobs". */
  readonly what: string;
  readonly value: number;
  /** Null: nobody knows. */
  readonly total: number | null;
  readonly unit: "blobs" | "bytes";
  /** Added behind, e.g. bytes where blobs are counted. */
  readonly note?: string;
}

/** Whether somebody looks at a bar. */
export function wantsBar(quiet: boolean): boolean {
  const { CI = "", TERM = "" } = process.env;
  return !quiet && process.stderr.isTTY && (CI === "" || CI === "false") && TERM !== "dumb";
}

export class ProgressBar {
  /** Null: nobody looks. */
  readonly #bar: SingleBar | null;
  readonly #isShared: boolean;
  readonly #line = new BarLine();
  #isShown = false;
  #what = "";
  #total: number | null = null;
  #startedMs = 0;
  #startValue = 0;
  #updatedMs = 0;

  constructor(options: { readonly isWanted: boolean }) {
    this.#bar = options.isWanted ? new SingleBar(barOptions(this.#line)) : null;
    // Lines on stdout need room only where they go to the same terminal.
    this.#isShared = this.#bar !== null && process.stdout.isTTY;
  }

  get isWanted(): boolean {
    return this.#bar !== null;
  }

  /** The first one draws the bar. */
  update(progress: Progress): void {
    if (this.#bar === null) return;
    const { what, total, value } = progress;
    const nowMs = performance.now();
    const isNew =
      !this.#isShown || what !== this.#what || (total === null) !== (this.#total === null);
    if (!isNew && nowMs - this.#updatedMs < updateMsMin) return;
    this.#updatedMs = nowMs;
    if (isNew) {
      this.stop();
      this.#what = what;
      this.#startedMs = nowMs;
      this.#startValue = value;
      this.#isShown = true;
      this.#bar.start(total ?? 0, value, this.#payload(progress, nowMs));
    } else {
      this.#bar.setTotal(total ?? 0);
      this.#bar.update(value, this.#payload(progress, nowMs));
    }
    this.#total = total;
  }

  /** A line on stdout. */
  print(line: string): void {
    if (!this.#isShared) process.stdout.write(`${line}\n`);
    else this.#line.writeAbove(stdout, Buffer.from(`${line}\n`), this.#isShown);
  }

  /** Where log lines go, which share stderr with the bar. */
  readonly logTarget = {
    write: (bytes: Uint8Array, done: (error: Error | null, written: number) => void): void => {
      try {
        this.#line.writeAbove(stderr, bytes, this.#isShown);
        done(null, bytes.length);
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)), 0);
      }
    },
    writeSync: (bytes: Uint8Array): number => {
      this.#line.writeAbove(stderr, bytes, this.#isShown);
      return bytes.length;
    },
  };

  /** Takes the bar away; whatever comes next begins on a line of its own. */
  stop(): void {
    if (!this.#isShown) return;
    this.#isShown = false;
    this.#bar?.stop();
  }

  #payload({ what, value, total, unit, note = "" }: Progress, nowMs: number): BarPayload {
    const seconds = (nowMs - this.#startedMs) / 1_000;
    const perSecond = seconds < 0.1 ? 0 : (value - this.#startValue) / seconds;
    return { what, unit, note, perSecond, isTotalKnown: total !== null };
  }
}

interface BarPayload {
  readonly what: string;
  readonly unit: Progress["unit"];
  readonly note: string;
  readonly perSecond: number;
  readonly isTotalKnown: boolean;
}

function barOptions(terminal: BarLine): Options {
  const options = {
    // Instead of the library's own, which remembers where the bar stood before lines came above it.
    terminal,
    fps,
    // Lines that are printed take the bar's place until it is drawn again.
    forceRedraw: true,
    clearOnComplete: true,
    linewrap: true,
    barsize: 24,
    barCompleteChar: "#",
    barIncompleteChar: "-",
    format: formatBar,
  };
  return options;
}

const formatBar: NonNullable<Exclude<Options["format"], string>> = (options, params, payload) => {
  const { what, unit, note, perSecond, isTotalKnown } = payload as BarPayload;
  const amount = (value: number): string =>
    unit === "bytes" ? bytesText(value) : countText(value);
  const per = unit === "bytes" ? "/s" : " blobs/s";
  const rate = perSecond > 0 ? `  ${amount(perSecond)}${per}` : "";
  const more = note === "" ? "" : `  ${note}`;
  const ofUnit = unit === "bytes" ? "" : " blobs";
  if (!isTotalKnown) return `${what}: ${amount(params.value)}${ofUnit}${more}${rate}`;
  const bar = Format.BarFormat(params.progress, options);
  const percent = Math.floor(params.progress * 100);
  const left =
    Number.isFinite(params.eta) && params.eta > 0 ? `  ${timeText(params.eta)} left` : "";
  return `${what} [${bar}] ${percent}%  ${amount(params.value)}/${amount(params.total)}${ofUnit}${more}${rate}${left}`;
};

function countText(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

function timeText(seconds: number): string {
  const rounded = Math.ceil(seconds);
  if (rounded < 60) return `${rounded} s`;
  if (rounded < 3_600) return `${Math.ceil(rounded / 60)} min`;
  return `${(rounded / 3_600).toFixed(1)} h`;
}

/** As disks are sold: 1 MB is 1,000,000 bytes. */
export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let amount = bytes;
  let unit = 0;
  while (amount >= 1_000 && unit < units.length - 1) {
    amount /= 1_000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(amount) : amount.toFixed(1)} ${units[unit] ?? ""}`;
}

/**
 * The last line of the terminal, as the library draws on it. Written at once and never queued: what is
 * printed above must come exactly between two drawings.
 */
class BarLine {
  writeAbove(descriptor: number, bytes: Uint8Array, isShown: boolean): void {
    if (isShown) this.clearLine();
    writeAll(descriptor, bytes);
  }
  clearLine(): void {
    this.write("\r\u001b[K");
  }
  clearRight(): void {
    this.write("\u001b[K");
  }
  cursorTo(): void {
    this.write("\r");
  }
  write(text: string): void {
    const isControl = text.startsWith("\r") || text.startsWith("\u001b");
    // One column is left free: a full line would wrap, and could not be taken back.
    writeAll(stderr, Buffer.from(isControl ? text : text.slice(0, this.getWidth() - 1)));
  }
  getWidth(): number {
    return process.stderr.columns || 80;
  }
  isTTY(): boolean {
    return true;
  }
  newline(): void {
    this.write("\r\n");
  }
  cursorSave(): void {
    // The bar is always on the last line.
  }
  cursorRestore(): void {
    // Likewise.
  }
  cursor(): void {
    // Never hidden: nothing has to be put right when the process is killed.
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Bun.sleepSync(1);
    }
  }
}
