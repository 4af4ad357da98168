// Server-sent events: what a status is now, at once and after each change, to everybody who listens. Nobody is
// waited for: who reads slowly gets fewer, but always the last one. Source: HTML, "Server-sent events".
import type { Reply } from "../reply.ts";
import { ApiError } from "./api-error.ts";

/** A person sees no difference, and a run of a million blobs makes no more lines than this. */
const tickMs = 250;
/** So that nobody on the way takes a silent connection for a dead one. */
const heartbeatMs = 15_000;
/** So often it is looked at whether who listens still may: rights may have been taken away since. */
const judgedEveryMs = 30_000;
/** Each costs a connection and some kilobytes. */
const listenersMax = 100;

export interface FeedSource {
  /** Grows with every change. */
  readonly changes: () => number;
  /** Another one after each run that has ended. */
  readonly ending: () => unknown;
  readonly status: () => unknown;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

interface Listener {
  readonly controller: Controller;
  readonly mayListen: () => Promise<boolean>;
  judgedAtMs: number;
  seenChanges: number;
  seenEnding: unknown;
  heardAtMs: number;
}

export class EventFeed {
  readonly #source: FeedSource;
  readonly #judgedEveryMs: number;
  readonly #listeners = new Set<Listener>();
  readonly #encoder = new TextEncoder();
  #timer: Timer | null = null;
  #isClosed = false;

  constructor(source: FeedSource, options: { readonly judgedEveryMs?: number } = {}) {
    this.#source = source;
    this.#judgedEveryMs = options.judgedEveryMs ?? judgedEveryMs;
  }

  /**
   * @param mayListen whether whoever listens still may; never rejects
   * @throws ApiError when there are too many already.
   */
  listen(mayListen: () => Promise<boolean>): Reply {
    if (this.#isClosed || this.#listeners.size >= listenersMax) {
      throw new ApiError("TOO_MANY_STREAMS", `${listenersMax} streams of events are open already`, {
        headers: { "Retry-After": "10" },
      });
    }
    let listener: Listener | null = null;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        listener = {
          controller,
          mayListen,
          judgedAtMs: performance.now(),
          seenChanges: -1,
          seenEnding: this.#source.ending(),
          heardAtMs: performance.now(),
        };
        this.#listeners.add(listener);
        this.#tell(listener);
        this.#timer ??= setInterval(() => {
          this.#tick();
        }, tickMs);
      },
      cancel: () => {
        if (listener !== null) this.#drop(listener);
      },
    });
    return { status: 200, headers: streamHeaders, body, sizeBytes: null };
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Ends every stream; the server stops. */
  close(): void {
    this.#isClosed = true;
    this.endAll();
  }

  /** Ends those that are open now; others may begin. */
  endAll(): void {
    for (const listener of this.#listeners) this.#end(listener);
  }

  #end(listener: Listener): void {
    if (!this.#listeners.has(listener)) return;
    this.#drop(listener);
    try {
      listener.controller.close();
    } catch {
      // Its client went away in this moment.
    }
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const listener of this.#listeners) {
      this.#tell(listener);
      if (nowMs - listener.judgedAtMs >= this.#judgedEveryMs) void this.#judge(listener, nowMs);
    }
  }

  async #judge(listener: Listener, nowMs: number): Promise<void> {
    listener.judgedAtMs = nowMs;
    if (!(await listener.mayListen())) this.#end(listener);
  }

  #tell(listener: Listener): void {
    // What was sent has not been taken yet: there will be a later one.
    if ((listener.controller.desiredSize ?? 0) <= 0) return;
    const { changes, ending, status } = this.#source;
    const hasEnded = ending() !== listener.seenEnding;
    if (hasEnded || changes() !== listener.seenChanges) {
      listener.seenChanges = changes();
      listener.seenEnding = ending();
      const kind = hasEnded ? "ended" : "status";
      this.#send(listener, `event: ${kind}\ndata: ${JSON.stringify(status())}\n\n`);
    } else if (performance.now() - listener.heardAtMs >= heartbeatMs) {
      this.#send(listener, ": still here\n\n");
    }
  }

  #send(listener: Listener, text: string): void {
    listener.heardAtMs = performance.now();
    try {
      listener.controller.enqueue(this.#encoder.encode(text));
    } catch {
      // Its client went away in this moment.
      this.#drop(listener);
    }
  }

  #drop(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}

const streamHeaders = {
  "Content-Type": "text/event-stream; charset=utf-8",
  // nginx would keep events back until it has a page of them.
  "X-Accel-Buffering": "no",
};
