// A connection that sends any bytes at all, and a reader that takes only well-formed HTTP/1.1 for an
// answer. What is wrong with an answer is thrown as `Malformed`.

export class Malformed extends Error {
  override readonly name = "Malformed";
}

export interface Answer {
  readonly status: number;
  /** Names in lower case; a header that came more than once is `Malformed` where that matters. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** Where the body begins. */
  readonly end: number;
}

const headBytesMax = 64 * 1024;
const statusLine = /^HTTP\/1\.1 ([1-5]\d\d)(?: [\x20-\x7e]*)?$/;
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]?([\t\x20-\x7e\x80-\xff]*)$/;
/** A header that comes twice would be understood in two ways. */
const single = new Set(["content-length", "transfer-encoding", "content-type", "location"]);

function readHead(bytes: Buffer): Head | null {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) {
    if (bytes.length > headBytesMax) throw new Malformed("a head without an end");
    return null;
  }
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const status = statusLine.exec(first)?.[1];
  if (status === undefined) throw new Malformed(`a status line: ${JSON.stringify(first)}`);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = headerLine.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw new Malformed(`a header: ${JSON.stringify(line)}`);
    }
    const key = name.toLowerCase();
    if (headers.has(key) && single.has(key)) throw new Malformed(`${key} came twice`);
    headers.set(key, value.trim());
  }
  return { status: Number(status), headers, end: end + 4 };
}

/** Null: not all of it is there. `rest` is where the next answer begins. */
function readChunks(bytes: Buffer, from: number): { body: Buffer; rest: number } | null {
  const chunks: Buffer[] = [];
  let at = from;
  for (;;) {
    const end = bytes.indexOf("\r\n", at);
    if (end === -1) return null;
    const line = bytes.toString("latin1", at, end);
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) throw new Malformed(`a chunk: ${JSON.stringify(line)}`);
    const size = Number.parseInt(line, 16);
    at = end + 2;
    if (bytes.length < at + size + 2) return null;
    if (bytes.toString("latin1", at + size, at + size + 2) !== "\r\n") {
      throw new Malformed("a chunk that is longer than it said");
    }
    chunks.push(bytes.subarray(at, at + size));
    at += size + 2;
    if (size === 0) return { body: Buffer.concat(chunks), rest: at };
  }
}

/** Null: not all of it is there yet. @throws Malformed */
function readAnswer(
  bytes: Buffer,
  asked: { readonly method: string; readonly isClosed: boolean },
): { readonly answer: Answer; readonly rest: number } | null {
  const head = readHead(bytes);
  if (head === null) return null;
  const { status, headers, end } = head;
  const length = headers.get("content-length");
  const encoding = headers.get("transfer-encoding");
  if (length !== undefined && !/^\d+$/.test(length)) throw new Malformed(`a length: ${length}`);
  if (encoding !== undefined && (length !== undefined || encoding !== "chunked")) {
    throw new Malformed(`Transfer-Encoding ${encoding} with length ${length ?? "none"}`);
  }
  const whole = (body: Buffer, rest: number) => ({ answer: { status, headers, body }, rest });
  if (status < 200 || status === 204 || status === 304 || asked.method === "HEAD") {
    return whole(Buffer.alloc(0), end);
  }
  if (encoding !== undefined) {
    const read = readChunks(bytes, end);
    return read === null ? null : whole(read.body, read.rest);
  }
  if (length !== undefined) {
    const over = end + Number(length);
    return bytes.length < over ? null : whole(bytes.subarray(end, over), over);
  }
  // Its end is the connection's.
  if (headers.get("connection")?.toLowerCase() !== "close") {
    throw new Malformed(`a body of no length: ${bytes.toString("latin1", 0, end)}`);
  }
  return asked.isClosed ? whole(bytes.subarray(end), bytes.length) : null;
}

export class Connection {
  #received: Buffer = Buffer.alloc(0);
  #closed = false;
  #unsent: Uint8Array = new Uint8Array(0);
  #wake: () => void = () => undefined;
  #socket: Bun.Socket | null = null;

  static async open(port: number): Promise<Connection> {
    const connection = new Connection();
    const closed = (): void => {
      connection.#closed = true;
      connection.#wake();
    };
    connection.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, data) => {
          connection.#received =
            connection.#received.length === 0
              ? Buffer.from(data)
              : Buffer.concat([connection.#received, data]);
          connection.#wake();
        },
        drain: () => connection.#flush(),
        close: closed,
        end: closed,
        error: closed,
      },
    });
    return connection;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Bytes that no answer was made of. */
  get leftBytes(): number {
    return this.#received.length;
  }

  send(bytes: Uint8Array): void {
    this.#unsent =
      this.#unsent.length === 0 ? bytes : Buffer.concat([this.#unsent, bytes] as Uint8Array[]);
    this.#flush();
  }

  /**
   * The next answer; what came instead of one where it does not come. Interim answers (100) are stepped
   * over. @throws Malformed
   */
  async answer(method: string, msMax: number): Promise<Answer | "closed" | "silent"> {
    const until = performance.now() + msMax;
    for (;;) {
      const read = readAnswer(this.#received, { method, isClosed: this.#closed });
      if (read !== null) {
        this.#received = this.#received.subarray(read.rest);
        if (read.answer.status >= 200) return read.answer;
        continue;
      }
      if (this.#closed) return "closed";
      const leftMs = until - performance.now();
      if (leftMs <= 0) return "silent";
      await this.#more(leftMs);
    }
  }

  /** Says that nothing more comes. */
  halfClose(): void {
    this.#socket?.shutdown();
  }

  destroy(): void {
    this.#closed = true;
    this.#socket?.terminate();
  }

  #flush(): void {
    if (this.#socket === null || this.#closed || this.#unsent.length === 0) return;
    const sent = this.#socket.write(this.#unsent);
    if (sent > 0) this.#unsent = this.#unsent.subarray(sent);
  }

  async #more(msMax: number): Promise<void> {
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, msMax);
    });
    clearTimeout(timer);
  }
}
