// How long the runtime may wait for the client of a request. Its own timer is a bound on the header of a
// connection's first request alone (tried: bytes that trickle do not put it off); while a request is
// answered it is off, since bodies have deadlines of their own, and afterwards it is set to what fits.
import type { Listening } from "./listen.ts";
import type { Peer } from "./peer.ts";
import type { Reply } from "./reply.ts";

/**
 * A client that takes nothing of a body for so long is gone. As the runtime counts, it has to take about a
 * third of what the system holds for it meanwhile, at most some megabytes: 1 kB a second is enough.
 */
const stalledSeconds = 15 * 60;

export class Connection {
  readonly #request: Request;
  readonly #server: Listening;
  readonly #idleSeconds: number;

  /** @param idleMs until the next request; 0: for ever */
  constructor(request: Request, server: Listening, idleMs: number) {
    this.#request = request;
    this.#server = server;
    this.#idleSeconds = Math.ceil(idleMs / 1000);
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
    if (body instanceof Blob) {
      // The runtime sets the timer anew when it begins to send a file.
      setImmediate(() => server.timeout(request, stalledSeconds));
    } else if (!(body instanceof ReadableStream)) {
      server.timeout(request, this.#idleSeconds);
    } else if (headers["Content-Type"]?.startsWith("text/event-stream") !== true) {
      server.timeout(request, stalledSeconds);
    }
  }
}
