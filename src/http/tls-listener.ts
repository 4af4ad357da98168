// Listens with TLS, and takes new certificates without losing a request. The runtime cannot give a
// listener another certificate, so another listener takes its place on the same port, a *generation*:
//
//   serving    gets all new connections (steering.ts)
//   retired    gets none; its connections go on, each answer asks to close (`Connection: close`). After
//              `lingerMs`, longer than clients keep a connection that they do not use, it is closed:
//   draining   no listener any more, only the requests that are under way in it
//
// Where the kernel cannot be told, a generation is drained as soon as the next one serves; connections
// that are being opened in that moment may be reset.
import type { Answer, Listener, Listening, Stoppable } from "./listener.ts";
import type { Logger } from "./ports.ts";
import { openSteering, type Steering } from "./steering.ts";
import { onTlsChange, type TlsParts } from "./tls.ts";

/** Go's clients keep a connection for 90 s. */
const lingerMsDefault = 3 * 60_000;
/** Long enough for the head of a request that is on its way. */
const drainLookMs = 1_000;
/** More certificates than this in one `lingerMs`, and the oldest generation lingers less. */
const retiredMax = 4;
/** With so many alive, each held by requests under way, a new certificate waits until one has ended. */
const generationsMax = 16;
/** After a listener could not be opened, because descriptors or memory were scarce, say. */
const retryMsDefault = 60_000;

export interface TlsListenerParts {
  readonly listener: Listener;
  readonly tls: TlsParts;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  /** Opens a listener with the certificates that count now. @throws Error */
  readonly open: (listener: Listener) => Listening;
  /** Absent: `lingerMsDefault`. */
  readonly lingerMs?: number;
  /** Absent: `retryMsDefault`. */
  readonly retryMs?: number;
  /** Absent: that of this system. */
  readonly steering?: () => Promise<Steering | null>;
}

class Generation {
  readonly server: Listening;
  isRetired = false;
  linger: Timer | undefined;

  constructor(listener: Listener, open: TlsListenerParts["open"]) {
    const routes = Object.entries(listener.routes ?? {});
    this.server = open({
      ...listener,
      fetch: this.#answering(listener.fetch),
      routes: Object.fromEntries(routes.map(([path, to]) => [path, this.#answering(to)])),
    });
  }

  #answering(answer: Answer): Answer {
    return (request, server) => {
      const response = answer(request, server);
      return this.isRetired ? closing(response) : response;
    };
  }
}

/** Until its last request is over. */
async function drained(server: Listening): Promise<void> {
  const stopped = server.stop();
  // A connection on which nothing has been asked yet the runtime does not close, and waits for without end.
  const timer = setInterval(() => {
    if (server.pendingRequests === 0) void server.stop(true);
  }, drainLookMs);
  await stopped;
  clearInterval(timer);
}

async function closing(response: Response | Promise<Response>): Promise<Response> {
  const last = await response;
  last.headers.set("Connection", "close");
  return last;
}

export class TlsListener implements Stoppable {
  readonly #parts: TlsListenerParts;
  /** With a listener, in the kernel's order. */
  readonly #group: Generation[];
  /** The oldest first. */
  readonly #retired: Generation[] = [];
  readonly #draining = new Map<Generation, Promise<void>>();
  readonly #endChanges: () => void;
  #serving: Generation;
  #descriptor: number | null = null;
  #steering: Steering | null = null;
  readonly #stopping = Promise.withResolvers<void>();
  #isStopped = false;
  #isPending = false;
  #renewing: Promise<void> | null = null;
  #retry: Timer | undefined;
  /** Told already, so that each attempt does not say it again. */
  #failure = "";

  /** @throws Error when the address is taken, or the runtime cannot use what it is given. */
  constructor(parts: TlsListenerParts) {
    this.#parts = parts;
    this.#serving = new Generation(parts.listener, parts.open);
    this.#group = [this.#serving];
    this.#endChanges = onTlsChange(parts.tls, () => {
      this.#changed();
    });
  }

  get port(): number | undefined {
    return this.#serving.server.port;
  }

  /** Of all generations. */
  get pendingRequests(): number {
    let pending = 0;
    for (const { server } of this.#alive()) pending += server.pendingRequests;
    return pending;
  }

  async stop(closeActiveConnections = false): Promise<void> {
    this.#isStopped = true;
    this.#stopping.resolve();
    clearTimeout(this.#retry);
    this.#endChanges();
    await this.#renewing;
    const open = this.#alive();
    for (const generation of open) clearTimeout(generation.linger);
    await Promise.all(
      [...open].map(({ server }) => (closeActiveConnections ? server.stop(true) : drained(server))),
    );
  }

  #alive(): Set<Generation> {
    return new Set([this.#serving, ...this.#retired, ...this.#draining.keys()]);
  }

  /** One after the other; what changes meanwhile is taken by the one that follows. */
  #changed(): void {
    if (this.#isStopped) return;
    this.#isPending = true;
    this.#renewing ??= this.#renewAll().finally(() => {
      this.#renewing = null;
    });
  }

  async #renewAll(): Promise<void> {
    this.#steering ??= await (this.#parts.steering ?? openSteering)();
    while (this.#isPending && !this.#isStopped) {
      if (this.#group.length + this.#draining.size >= generationsMax) await this.#waitForRoom();
      this.#isPending = false;
      if (!this.#isStopped) this.#renew();
    }
  }

  async #waitForRoom(): Promise<void> {
    this.#parts.logger.warn(
      `http.tls: requests are under way with ${generationsMax} certificates; the new one is used when those of one are over`,
    );
    await Promise.race([...this.#draining.values(), this.#stopping.promise]);
  }

  #renew(): void {
    const { listener, open } = this.#parts;
    const old = this.#serving;
    clearTimeout(this.#retry);
    try {
      this.#serving = this.#open(() => new Generation(listener, open));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#retryLater(reason);
      return;
    }
    this.#failure = "";
    this.#group.push(this.#serving);
    if (!this.#steer()) {
      this.#drain(old);
      return;
    }
    old.isRetired = true;
    this.#retired.push(old);
    old.linger = setTimeout(() => {
      this.#drain(old);
    }, this.#parts.lingerMs ?? lingerMsDefault);
    old.linger.unref();
    const [oldest] = this.#retired;
    if (this.#retired.length > retiredMax && oldest !== undefined) this.#drain(oldest);
  }

  /** The next change may be months away, and the old certificate's end sooner. */
  #retryLater(reason: string): void {
    const { logger, retryMs = retryMsDefault } = this.#parts;
    if (reason !== this.#failure) {
      const then = "the old one stays, and it is tried again every minute";
      logger.error(`http.tls: a new certificate cannot be used: ${reason}; ${then}`);
    }
    this.#failure = reason;
    this.#retry = setTimeout(() => {
      this.#changed();
    }, retryMs);
    this.#retry.unref();
  }

  #open(make: () => Generation): Generation {
    if (this.#steering === null) return make();
    const opened = this.#steering.open(make);
    this.#descriptor = opened.descriptor;
    return opened.listener;
  }

  #steer(): boolean {
    if (this.#steering === null || this.#descriptor === null) return false;
    return this.#steering.toPlace(this.#descriptor, this.#group.indexOf(this.#serving));
  }

  /** Closes its listener, and with it the connections that are not in use. */
  #drain(generation: Generation): void {
    clearTimeout(generation.linger);
    generation.isRetired = true;
    const at = this.#retired.indexOf(generation);
    if (at !== -1) this.#retired.splice(at, 1);
    const over = drained(generation.server).finally(() => {
      this.#draining.delete(generation);
    });
    this.#draining.set(generation, over);
    // As the kernel does: the last of the group takes the place of the one that is gone.
    const last = this.#group.pop();
    const place = this.#group.indexOf(generation);
    if (place !== -1 && last !== undefined) this.#group[place] = last;
    if (this.#group.length > 1) this.#steer();
  }
}
