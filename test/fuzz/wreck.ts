// Bytes that are no request any more, or one that says two things: bad lines, headers and chunks, lengths
// that lie, requests that end half-way. The runtime may refuse them as it likes, or close the connection.
import { type Asked, encode } from "./asked.ts";
import type { Chance } from "./chance.ts";

export interface Wreck {
  /** Written one after another, with a pause between. */
  readonly writes: readonly Uint8Array[];
  /** Then nothing more is sent, and that is said. */
  readonly isHalfClosed: boolean;
}

export function wrecked(chance: Chance, asked: Asked): Wreck {
  const bytes = chance.weighted(wrecks)(chance, asked);
  const isHalfClosed = chance.percent(20);
  if (bytes.length > 2 && chance.percent(10)) {
    const at = 1 + chance.below(bytes.length - 1);
    return { writes: [bytes.subarray(0, at), bytes.subarray(at)], isHalfClosed };
  }
  return { writes: [bytes], isHalfClosed };
}

type Wrecking = (chance: Chance, asked: Asked) => Uint8Array;

const wrecks: readonly (readonly [weight: number, wrecking: Wrecking])[] = [
  [6, badLine],
  [6, badHeader],
  [6, badChunks],
  [5, badLength],
  [4, cutOff],
  [4, flipped],
  [2, followed],
  [1, noHttp],
];

function head(asked: Asked, line: string, headers: readonly string[]): Buffer {
  const own = asked.headers.map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(`${[line, ...own, ...headers].join("\r\n")}\r\n\r\n`, "latin1");
}

const tail = (asked: Asked): Uint8Array => asked.body ?? new Uint8Array(0);

function lengthOf(asked: Asked): string {
  return `Content-Length: ${tail(asked).length}`;
}

function badLine(chance: Chance, asked: Asked): Uint8Array {
  const { method, target } = asked;
  const line = chance.pick([
    `${method} ${target} HTTP/1.0`,
    `${method} ${target} HTTP/0.9`,
    `${method} ${target} HTTP/2.0`,
    `${method} ${target} HTTP/1.1.1`,
    `${method} ${target} HTTP/11`,
    `${method} ${target} http/1.1`,
    `${method} ${target}`,
    `${method}  ${target}  HTTP/1.1`,
    `${method}\t${target}\tHTTP/1.1`,
    ` ${method} ${target} HTTP/1.1`,
    `\r\n\r\n${method} ${target} HTTP/1.1`,
    `${method} http://127.0.0.1${target} HTTP/1.1`,
    `${method} //evil.example${target} HTTP/1.1`,
    `${method} ${target.slice(1)} HTTP/1.1`,
    `${method} * HTTP/1.1`,
    `${method} ${target}#fragment HTTP/1.1`,
    `${method} ${target}\0 HTTP/1.1`,
    `${method} ${target} extra HTTP/1.1`,
    `${method} ${target}\x7f\xff HTTP/1.1`,
    `${method} ${target}${"a".repeat(chance.pick([10_000, 17_000, 100_000]))} HTTP/1.1`,
    `${method} ${target.replaceAll("/", "\\")} HTTP/1.1`,
    `CONNECT 127.0.0.1:80 HTTP/1.1`,
    `PRI * HTTP/2.0`,
  ]);
  return Buffer.concat([head(asked, line, [lengthOf(asked)]), tail(asked)]);
}

function badHeader(chance: Chance, asked: Asked): Uint8Array {
  const more = chance.pick([
    () => ["Host: other.example"],
    () => ["Host:"],
    () => ["X: a\r\n folded"],
    () => ["X: a\r\n\tfolded\r\n  more"],
    () => [" X: leading"],
    () => ["X : space"],
    () => ["X"],
    () => [": no name"],
    () => ["X: a\0b"],
    () => ["X\0: a"],
    () => ["X: \x01\x02\x1b[2J"],
    () => ["X: a\nY: b"],
    () => ["X: a\rY: b"],
    () => [`X: ${"a".repeat(chance.pick([8_000, 17_000, 200_000]))}`],
    () => [`${"X".repeat(20_000)}: a`],
    () => Array.from({ length: chance.pick([150, 201, 2_000]) }, (_, n) => `X-${n}: a`),
    () => Array.from({ length: 90 }, () => "X-Same: a"),
    () => ["Authorization: Basic YTpi", "Authorization: Basic Yjpj"],
    () => ["Content-Type: a/b", "Content-Type: c/d"],
    () => ["Content-Range: 0-1", "Content-Range: 2-3"],
    () => ["Range: bytes=0-1", "Range: bytes=2-3"],
    () => ["Connection: close"],
    () => ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: AAAA"],
    () => ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA"],
    () => ["Connection: keep-alive, Content-Length, Host"],
    () => ["Expect: 100-continue"],
    () => ["Expect: 200-ok"],
    () => ["TE: trailers, x"],
    () => ["Trailer: Authorization"],
  ])();
  const { method, target } = asked;
  const bare = chance.percent(8) ? { ...asked, headers: [] } : asked;
  const line = `${method} ${target} HTTP/1.1`;
  return Buffer.concat([head(bare, line, [...more, lengthOf(asked)]), tail(asked)]);
}

function badChunks(chance: Chance, asked: Asked): Uint8Array {
  const { target } = asked;
  const method = chance.percent(80) ? chance.pick(["PATCH", "PUT", "POST"]) : asked.method;
  const encoding = chance.pick([
    ["Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: 5"],
    ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: identity, chunked"],
    ["Transfer-Encoding: gzip"],
    ["Transfer-Encoding: chunked, gzip"],
    ["Transfer-Encoding: xchunked"],
    ["Transfer-Encoding : chunked"],
    ["Transfer-Encoding: \x0bchunked"],
  ]);
  const chunks = chance.pick([
    "5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n",
    "5\r\nhel",
    '5;name=value;b="c"\r\nhello\r\n0\r\n\r\n',
    `5;${"e".repeat(20_000)}\r\nhello\r\n0\r\n\r\n`,
    "5\r\nhello\r\n0\r\nX-Trailer: a\r\nAuthorization: Basic YTpi\r\n\r\n",
    `5\r\nhello\r\n0\r\n${"X: a\r\n".repeat(5_000)}\r\n`,
    "0005\r\nhello\r\n0\r\n\r\n",
    `${"0".repeat(5_000)}5\r\nhello\r\n0\r\n\r\n`,
    "-5\r\nhello\r\n0\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "g\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "4\r\nhello\r\n0\r\n\r\n",
    "6\r\nhello\r\n0\r\n\r\n",
    "\r\nhello\r\n0\r\n\r\n",
    "ffffffffffffffff\r\nhello",
    "fffffffffffffffff1\r\nhello",
    "7fffffffffffffff\r\nhello",
    "80000000\r\nhello",
    "1\r\na\r\n".repeat(500),
    "0\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n",
  ]);
  const line = `${method} ${target} HTTP/1.1`;
  return Buffer.concat([head(asked, line, encoding), Buffer.from(chunks, "latin1")]);
}

function badLength(chance: Chance, asked: Asked): Uint8Array {
  const body = tail(asked);
  const claims = chance.pick([
    [`Content-Length: ${body.length + 1 + chance.below(1_000)}`],
    [`Content-Length: ${Math.max(0, body.length - 1 - chance.below(10))}`],
    [`Content-Length: ${body.length}`, `Content-Length: ${body.length}`],
    [`Content-Length: ${body.length}`, `Content-Length: ${body.length + 1}`],
    [`Content-Length: ${body.length}, ${body.length}`],
    ["Content-Length: -1"],
    ["Content-Length: +5"],
    ["Content-Length: 5.0"],
    ["Content-Length: 0x5"],
    ["Content-Length: 5 5"],
    ["Content-Length:"],
    ["Content-Length: 9007199254740991"],
    ["Content-Length: 9007199254740993"],
    ["Content-Length: 18446744073709551615"],
    ["Content-Length: 18446744073709551617"],
    [`Content-Length: ${"9".repeat(1_000)}`],
    [`Content-Length: ${"0".repeat(500)}${body.length}`],
    ["Content-Length: 4194305"],
    ["Content-Length: 107374182400"],
    [],
  ]);
  return Buffer.concat([head(asked, `${asked.method} ${asked.target} HTTP/1.1`, claims), body]);
}

function cutOff(chance: Chance, asked: Asked): Uint8Array {
  const bytes = encode(asked);
  return bytes.subarray(0, 1 + chance.below(bytes.length));
}

function flipped(chance: Chance, asked: Asked): Uint8Array {
  const bytes = Buffer.from(encode(asked));
  const span = chance.percent(70) ? Math.min(bytes.length, 300) : bytes.length;
  for (let n = 1 + chance.below(6); n > 0; n -= 1) bytes[chance.below(span)] = chance.below(256);
  return bytes;
}

/** A right request, and behind it in the same write something that is none. */
function followed(chance: Chance, asked: Asked): Uint8Array {
  const after = chance.pick([
    chance.bytes(50),
    Buffer.from("\r\n\r\n\r\n"),
    Buffer.from("GET /v2/ HTTP/1.1\r\n"),
    Buffer.from("\0\0\0\0"),
    badChunks(chance, asked),
    badLine(chance, asked),
  ]);
  return Buffer.concat([encode(asked), after]);
}

function noHttp(chance: Chance): Uint8Array {
  return chance.pick([
    () => chance.bytes(1 + chance.below(2_000)),
    // The beginning of TLS.
    () => Buffer.concat([Buffer.from("16030100a5010000a10303", "hex"), chance.bytes(160)]),
    () => Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1"),
    () => Buffer.from("\r\n".repeat(2_000)),
    () => Buffer.from("A".repeat(100_000)),
    () => Buffer.from("SSH-2.0-OpenSSH_9.6\r\n"),
    () => Buffer.from("GET /v2/\r\n\r\n"),
    () => Buffer.from("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"),
  ])();
}
