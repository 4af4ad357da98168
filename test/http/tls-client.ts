// A process of its own that asks a TLS server without a pause, for a test that changes the server's
// certificate meanwhile: connection after connection, connections that are kept, one long upload and one
// long download. Prints what came of it as JSON. Arguments: port, milliseconds, upload path, blob path.
import { connect, type TLSSocket } from "node:tls";

export interface Outcome {
  readonly fresh: number;
  readonly kept: number;
  /** What went wrong, and how often. */
  readonly failures: Readonly<Record<string, number>>;
  /** Of new connections, by the common name of the certificate. */
  readonly met: Readonly<Record<string, number>>;
  readonly uploadedBytes: number;
  readonly sentBytes: number;
  readonly downloadedBytes: number;
}

const freshClients = 16;
const keptClients = 8;
const chunkBytes = 8_192;

class Connection {
  readonly #socket: TLSSocket;
  #received = "";
  #ended: Error | null = null;
  #wake: () => void = () => undefined;
  commonName = "";

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (data: Buffer) => {
      this.#received += data.toString("latin1");
      this.#wake();
    });
    const end = (error?: unknown): void => {
      this.#ended ??= error instanceof Error ? error : new Error("closed");
      this.#wake();
    };
    socket.on("error", end);
    socket.on("close", () => {
      end();
    });
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
        const connection = new Connection(socket);
        connection.commonName = String(socket.getPeerCertificate().subject.CN);
        resolve(connection);
      });
      socket.once("error", reject);
    });
  }

  send(text: string | Uint8Array): void {
    this.#socket.write(text);
  }

  /** The head of an answer, whose body is dropped. */
  async answer(): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end !== -1) {
        const head = this.#received.slice(0, end);
        const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
        if (this.#received.length >= end + 4 + length) {
          this.#received = this.#received.slice(end + 4 + length);
          return head;
        }
      }
      if (this.#ended !== null) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

async function main(args: readonly string[]): Promise<void> {
  const [port, ms] = [Number(args[0]), Number(args[1])];
  const [uploadPath = "", blobPath = ""] = args.slice(2);
  const endMs = Date.now() + ms;
  const counts = { fresh: 0, kept: 0, uploadedBytes: 0, sentBytes: 0, downloadedBytes: 0 };
  const failures: Record<string, number> = {};
  const met: Record<string, number> = {};
  const count = (of: Record<string, number>, name: string): void => {
    of[name] = (of[name] ?? 0) + 1;
  };
  const trying = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      const reason = error instanceof Error ? `${error.name} ${error.message}` : String(error);
      count(failures, `${what}: ${reason}`);
    }
  };
  const ask = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n";
  const expectOk = (head: string): void => {
    if (!head.startsWith("HTTP/1.1 20")) throw new Error(head.split("\r\n")[0]);
  };
  const fresh = async (): Promise<void> => {
    while (Date.now() < endMs) {
      await trying("a new connection", async () => {
        const connection = await Connection.open(port);
        count(met, connection.commonName);
        connection.send(ask);
        expectOk(await connection.answer());
        connection.close();
        counts.fresh += 1;
      });
    }
  };
  const kept = async (): Promise<void> => {
    const open = new Set<Connection>();
    while (Date.now() < endMs) {
      await trying("a kept connection", async () => {
        const [connection = await Connection.open(port)] = open;
        open.clear();
        connection.send(ask);
        const head = await connection.answer();
        expectOk(head);
        counts.kept += 1;
        if (/^connection: close/im.test(head)) connection.close();
        else open.add(connection);
      });
      await Bun.sleep(Math.random() * 20);
    }
    for (const connection of open) connection.close();
  };
  const upload = (): Promise<void> =>
    trying("the upload", async () => {
      const connection = await Connection.open(port);
      const head = `PATCH ${uploadPath} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`;
      connection.send(head);
      while (Date.now() < endMs - 500) {
        connection.send(`${chunkBytes.toString(16)}\r\n`);
        connection.send(new Uint8Array(chunkBytes));
        connection.send("\r\n");
        counts.sentBytes += chunkBytes;
        await Bun.sleep(10);
      }
      connection.send("0\r\n\r\n");
      const answer = await connection.answer();
      connection.close();
      expectOk(answer);
      counts.uploadedBytes = Number(/^range: 0-(\d+)/im.exec(answer)?.[1] ?? -1) + 1;
    });
  const download = (): Promise<void> =>
    trying("the download", async () => {
      const response = await fetch(`https://127.0.0.1:${port}${blobPath}`, {
        tls: { rejectUnauthorized: false },
      });
      if (response.body === null) return;
      const body: AsyncIterable<Uint8Array> = response.body;
      for await (const chunk of body) {
        counts.downloadedBytes += chunk.byteLength;
        // As slow as the changes last.
        if (Date.now() < endMs) await Bun.sleep(5);
      }
    });
  const loads = [
    ...Array.from({ length: freshClients }, fresh),
    ...Array.from({ length: keptClients }, kept),
  ];
  await Promise.all([...loads, upload(), download()]);
  const outcome: Outcome = { ...counts, failures, met };
  console.log(JSON.stringify(outcome));
}

if (import.meta.main) await main(process.argv.slice(2));
