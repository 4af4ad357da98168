// How long the runtime waits for the client of a request. What was tried of its timer (1.4.5): the first
// header of a connection has to be there within 10 to 12 seconds, whatever is set, and bytes that trickle do
// not put that off. Everything else it measures by what is set last: so it is off while something takes its
// time (bodies that arrive have deadlines of their own, request-body.ts), and set to what fits before the
// answer is sent. Most answers are there at once, and the timer of the whole server fits them.
import type { Listening } from "./listener.ts";
import type { Limits } from "./limits/limits.ts";
import type { Peer } from "./peer.ts";
import type { Reply } from "./reply.ts";

/**
 * The most that the runtime can count. A client that takes nothing for so long is gone; it is told from a
 * slow one once that has taken about a third of what the system holds for it (tried: some 1.5 MB, with TLS
 * 2.5): at 10 kB a second it has, with TLS at 20.
 */
const stalledSecondsMax = 255;

/** Below, an answer may take longer to be decided (logins that wait, a list of many) than nothing may be said. */
const answeredWithinMs = 60_000;

/** What goes into the system's buffers at once waits for no client. */
const atOnceBytesMax = 64 * 1024;

/** What all connections of a server share. */
export interface ConnectionTimes {
  readonly limits: Limits;
  /** What the server was started with. */
  readonly idleMs: number;
  /** While the client takes nothing of an answer, where no limit says it. */
  readonly stalledMs: number;
}

export class Connection {
  readonly #request: Request;
  readonly #server: Listening;
  readonly #times: ConnectionTimes;
  #isTimed = false;

  constructor(request: Request, server: Listening, times: ConnectionTimes) {
    this.#request = request;
    this.#server = server;
    this.#times = times;
  }

  /** Null on a unix socket. */
  get peer(): Peer | null {
    return this.#server.requestIP(this.#request);
  }

  /**
   * A request begins.
   * @param mayTakeTime the answer may take as long as it takes
   */
  begins(mayTakeTime: boolean): void {
    const { limits, idleMs } = this.#times;
    if (mayTakeTime || isShort(idleMs) || isShort(limits.options.idleMs)) this.#takesTime();
  }

  #takesTime(): void {
    this.#isTimed = true;
    this.#server.timeout(this.#request, 0);
  }

  /** The answer is decided, and about to be sent. */
  answering({ body, headers, sizeBytes }: Reply): void {
    const { limits, idleMs } = this.#times;
    const wanted = limits.options.idleMs;
    const isFitting = !this.#isTimed && wanted === idleMs;
    if (body instanceof Blob) {
      if (isFitting && idleMs > 0 && sizeBytes !== null && sizeBytes <= atOnceBytesMax) return;
      // The runtime sets the timer anew when it begins to send a file.
      setImmediate(() => this.#allow(this.#stalledSeconds));
    } else if (body instanceof ReadableStream) {
      const isEndless = headers["Content-Type"]?.startsWith("text/event-stream") === true;
      this.#allow(isEndless ? 0 : this.#stalledSeconds);
    } else if (!isFitting) {
      this.#allow(Math.ceil(wanted / 1000));
    }
  }

  /** Nothing more is sent until `sends`, and that is not the client's fault. */
  holds(): void {
    this.#allow(0);
  }

  /** The next part of a body is about to be sent. */
  sends(): void {
    this.#allow(this.#stalledSeconds);
  }

  get #stalledSeconds(): number {
    const { limits, stalledMs } = this.#times;
    const graceMs = limits.options.slow?.graceMs ?? stalledMs;
    return Math.min(Math.ceil(graceMs / 1000), stalledSecondsMax);
  }

  #allow(seconds: number): void {
    this.#server.timeout(this.#request, seconds);
  }
}

function isShort(idleMs: number): boolean {
  return idleMs > 0 && idleMs < answeredWithinMs;
}
