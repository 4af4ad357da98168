// Starts a server over a registry for a test, and speaks to it: by fetch, or raw over TCP.
import { expect } from "bun:test";
import type { Access, AccessEntry, HttpOptions, LogFields } from "../../src/http/index.ts";
import { type RunningServer, startServer } from "../../src/http/index.ts";
import type { TlsParts } from "../../src/http/tls.ts";
import { type Digest, digestOf, mediaTypes } from "../../src/oci/index.ts";
import type { Registry } from "../../src/registry/registry.ts";

/** Makes an empty registry for one test. */
export type RegistryFactory = () => Promise<Registry> | Registry;

export const defaultOptions: HttpOptions = {
  listen: { kind: "tcp", hostname: "127.0.0.1", port: 0 },
  prefix: "/",
  host: null,
  relativeUrls: false,
  secret: "s3cret",
  headers: { "X-Content-Type-Options": ["nosniff"] },
  trustedProxies: { unix: false, networks: [] },
  drainTimeoutMs: 0,
  bodySilenceMs: 60_000,
  deleteEnabled: true,
  readOnly: false,
  catalogEntriesMax: 1000,
  tagsMax: 1000,
};

export interface LoggedLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface Harness extends AsyncDisposable {
  readonly server: RunningServer;
  /** "http://127.0.0.1:port", or https */
  readonly origin: string;
  readonly lines: LoggedLine[];
  readonly accesses: AccessEntry[];
  readonly failing: Record<string, string>;
  /** Asks; `path` begins with "/". */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Asks for the URL of a Location header. */
  go(location: string | null, init?: RequestInit): Promise<Response>;
  pushBlob(repository: string, content: string | Uint8Array): Promise<Digest>;
  /** Pushes an image of one config and one layer; the digest of its manifest. */
  pushImage(repository: string, reference: string, content?: string): Promise<Digest>;
}

export interface HarnessOptions extends Partial<HttpOptions> {
  readonly tls?: TlsParts;
}

export async function startHarness(
  factory: RegistryFactory,
  { tls, ...options }: HarnessOptions = {},
  access: Access | null = null,
): Promise<Harness> {
  const lines: LoggedLine[] = [];
  const accesses: AccessEntry[] = [];
  const failing: Record<string, string> = {};
  const log =
    (level: string) =>
    (message: string, fields: LogFields = {}) => {
      lines.push({ level, message, fields });
    };
  const server = await startServer({
    registry: await factory(),
    options: { ...defaultOptions, ...options },
    access,
    tls: tls ?? null,
    health: { failing: () => failing },
    logger: { info: log("info"), warn: log("warn"), error: log("error"), enabled: () => true },
    accessLog: { write: (entry) => accesses.push(entry) },
    clock: { now: () => 1_700_000_000_000 },
  });
  const origin = `${tls === undefined ? "http" : "https"}://127.0.0.1:${server.port}`;
  // Who certifies the server is not what these tests ask.
  const trust: BunFetchRequestInit =
    tls === undefined ? {} : { tls: { rejectUnauthorized: false } };
  const ask = (path: string, init?: RequestInit) => {
    return fetch(origin + path, { redirect: "manual", ...trust, ...init });
  };
  const go: Harness["go"] = (location, init) => {
    return fetch(new URL(location ?? "", origin), { redirect: "manual", ...trust, ...init });
  };
  const pushBlob: Harness["pushBlob"] = async (repository, content) => {
    const digest = digestOf(Buffer.from(content));
    const path = `/v2/${repository}/blobs/uploads/`;
    const { headers } = await ask(path, { method: "POST" });
    const location = withParameter(headers.get("location"), "digest", digest);
    const put = await go(location, { method: "PUT", body: content });
    if (put.status !== 201) throw new Error(`pushing a blob: ${put.status} ${await put.text()}`);
    return digest;
  };
  const pushImage: Harness["pushImage"] = async (repository, reference, content = "layer") => {
    const layer = await pushBlob(repository, content);
    const config = await pushBlob(repository, `{"os":"linux","of":"${content}"}`);
    const manifest = imageManifest({ config, layers: [layer] });
    const path = `/v2/${repository}/manifests/${reference}`;
    const put = await ask(path, manifestInit(manifest));
    if (put.status !== 201) throw new Error(`pushing a manifest: ${await put.text()}`);
    return digestOf(Buffer.from(manifest));
  };
  const stop = () => server.stop();
  const dispose = { [Symbol.asyncDispose]: stop };
  return { server, origin, lines, accesses, failing, ask, go, pushBlob, pushImage, ...dispose };
}

export function manifestInit(manifest: string, type: string = mediaTypes.ociManifest): RequestInit {
  return { method: "PUT", body: manifest, headers: { "Content-Type": type } };
}

export interface ImageParts {
  readonly config: Digest;
  readonly layers?: readonly Digest[];
  readonly more?: Readonly<Record<string, unknown>>;
}

/** Sizes are not those of the blobs; nothing here looks at them. */
export function imageManifest(parts: ImageParts): string {
  const size = 5;
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: parts.config, size },
    layers: (parts.layers ?? []).map((digest) => {
      return { mediaType: "application/vnd.oci.image.layer.v1.tar", digest, size };
    }),
    ...parts.more,
  });
}

export function withParameter(location: string | null, name: string, value: string): string {
  if (location === null) throw new Error("there is no Location");
  return `${location}${location.includes("?") ? "&" : "?"}${name}=${encodeURIComponent(value)}`;
}

export interface OciErrorBody {
  readonly errors: readonly { code: string; message: string; detail?: unknown }[];
}

/** The one error of an answer in the OCI form. */
export async function errorIn(response: Response): Promise<OciErrorBody["errors"][number]> {
  const body = (await response.json()) as OciErrorBody;
  const [error] = body.errors;
  if (error === undefined || body.errors.length !== 1) throw new Error("not one error");
  return error;
}

/** Stands for any text, any number, or a text of this form in a comparison. */
export const anyText = expect.any(String) as string;
export const anyNumber = expect.any(Number) as number;
export function textLike(pattern: RegExp): string {
  return expect.stringMatching(pattern) as string;
}

/** What a promise fails with. */
export async function rejection(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return String(error);
  }
  throw new Error("the promise did not reject");
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A connection that says exactly what it is told to, and reads answers with a Content-Length. */
export class RawConnection {
  #received = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => undefined;
  #socket: Bun.Socket | null = null;

  static async open(port: number): Promise<RawConnection> {
    const connection = new RawConnection();
    connection.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, data) => {
          connection.#received = Buffer.concat([connection.#received, data]);
          connection.#wake();
        },
        close: () => {
          connection.#closed = true;
          connection.#wake();
        },
      },
    });
    return connection;
  }

  /** Only for what fits into the socket's buffer. Text goes out as Latin-1. */
  send(text: string): void {
    this.#socket?.write(Buffer.from(text, "latin1"));
  }

  async answer(options: { readonly head?: boolean } = {}): Promise<RawAnswer> {
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end !== -1) {
        const [first = "", ...rest] = this.#received.toString("latin1", 0, end).split("\r\n");
        const headers = new Headers();
        for (const line of rest) {
          const colon = line.indexOf(":");
          headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
        }
        const length = options.head === true ? 0 : Number(headers.get("content-length") ?? 0);
        const over = end + 4 + length;
        if (this.#received.length >= over) {
          const body = this.#received.toString("utf8", end + 4, over);
          this.#received = this.#received.subarray(over);
          return { status: Number(first.split(" ")[1]), headers, body };
        }
      }
      if (this.#closed) throw new Error("closed without an answer");
      await this.#more();
    }
  }

  async closed(): Promise<void> {
    while (!this.#closed) await this.#more();
  }

  /** Goes away at once, as a client that dies. */
  destroy(): void {
    this.#socket?.terminate();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

export async function rawAnswer(
  port: number,
  text: string,
  options: { readonly head?: boolean } = {},
): Promise<RawAnswer> {
  const connection = await RawConnection.open(port);
  connection.send(text);
  const answer = await connection.answer(options);
  connection.destroy();
  return answer;
}
