// A request before it is bytes: what mutations work on. Whether one is plain decides what must come of
// it: a plain request has exactly one answer, of the registry's own; of any other the runtime may say no,
// or close the connection.

export type Header = readonly [name: string, value: string];

export interface Asked {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly Header[];
  readonly body: Uint8Array | null;
  /** How the body is framed; by default with a Content-Length. */
  readonly chunks?: readonly number[];
  /** What the credentials are worth: "forged" is whatever nobody gave out. */
  readonly credentials?: "right" | "none" | "forged";
}

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
/** The runtime takes 16 KB of head and 200 headers. */
const plainHeadBytesMax = 12_000;
const plainHeadersMax = 100;
/** They change what the connection or the body is. */
const telling = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

export function isPlain({ method, target, headers }: Asked): boolean {
  if (!methods.has(method) || !/^\/[\x21-\x7e]*$/.test(target)) return false;
  // A stream without an end; and where the path leads there by another way.
  if (/event|%65|%45|%76/i.test(target)) return false;
  if (target.length > plainHeadBytesMax || headers.length > plainHeadersMax) return false;
  let hosts = 0;
  let bytes = target.length;
  for (const [name, value] of headers) {
    bytes += name.length + value.length + 4;
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return false;
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value) || telling.has(name.toLowerCase())) return false;
    if (name.toLowerCase() === "host") hosts += 1;
  }
  return hosts === 1 && bytes < plainHeadBytesMax;
}

/** Text goes out as UTF-8 in the target and as Latin-1 elsewhere, whatever is in it. */
export function encode(asked: Asked): Uint8Array {
  const { body, chunks } = asked;
  const parts: Uint8Array[] = [Buffer.from(`${asked.method} ${asked.target} HTTP/1.1\r\n`)];
  const lines = asked.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  parts.push(Buffer.from(lines, "latin1"));
  if (body === null) {
    const empty = asked.method === "GET" || asked.method === "HEAD" ? "" : "Content-Length: 0\r\n";
    parts.push(Buffer.from(`${empty}\r\n`));
  } else if (chunks === undefined) {
    parts.push(Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body);
  } else {
    parts.push(Buffer.from("Transfer-Encoding: chunked\r\n\r\n"), ...chunked(body, chunks));
  }
  return Buffer.concat(parts);
}

function* chunked(body: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (const size of [...sizes, body.length]) {
    const piece = body.subarray(at, at + size);
    at += piece.length;
    if (piece.length === 0) continue;
    yield Buffer.from(`${piece.length.toString(16)}\r\n`);
    yield piece;
    yield Buffer.from("\r\n");
  }
  yield Buffer.from("0\r\n\r\n");
}

export function withHeaders(asked: Asked, ...headers: readonly Header[]): Asked {
  return { ...asked, headers: [...asked.headers, ...headers] };
}

/** The request as one can read it, for the message of a failure. */
export function shown(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("latin1");
  return JSON.stringify(text.length > 700 ? `${text.slice(0, 700)}… ${text.length}` : text);
}
