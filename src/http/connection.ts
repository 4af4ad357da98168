// How long the runtime waits for the client of a request. What was tried of its timer (1.4.5): the first
// header of a connection has to be there within 10 to 12 seconds, whatever is set, and bytes that trickle do
// not put that off. Everything else it measures by what is set last: so it is off while a request is
// answered, since bodies that arrive have deadlines of their own (request-body.ts), and set to what fits
// before the answer is sent.
import type { Listening } from "./listen.ts";
import type { Peer } from "./peer.ts";
import type { Reply } from "./reply.ts";

/**
 * The most that the runtime can count. A client that takes nothing for so long is gone; it is told from a
 * slow one once that has taken about a third of what the system holds for it: at 10 kB a second it has.
 */
const stalledSecondsMax = 255;

export interface ConnectionTimes {
  /** Until the next request; 0: for ever. */
  readonly idleMs: number;
  /** While the client takes nothing of an answer. */
  readonly stalledMs: number;
}

export class Connection {
  readonly #request: Request;
  readonly #server: Listening;
  readonly #times: ConnectionTimes;

  constructor(request: Request, server: Listening, times: ConnectionTimes) {
    this.#request = request;
    this.#server = server;
    this.#times = times;
    server.timeout(request, 0);
  }

  /** Null on a unix socket. */
  get peer(): Peer | null {
    return this.#server.requestIP(this.#request);
  }

  /** The answer is decided, and about to be sent. */
  answering({ body, headers }: Reply): void {
    const server = this.#server;
    const request = this.#request;
    const { idleMs, stalledMs } = this.#times;
    const stalledSeconds = Math.min(Math.ceil(stalledMs / 1000), stalledSecondsMax);
    if (body instanceof Blob) {
      // The runtime sets the timer anew when it begins to send a file.
      setImmediate(() => server.timeout(request, stalledSeconds));
    } else if (!(body instanceof ReadableStream)) {
      server.timeout(request, Math.ceil(idleMs / 1000));
    } else if (headers["Content-Type"]?.startsWith("text/event-stream") !== true) {
      server.timeout(request, stalledSeconds);
    }
  }
}
