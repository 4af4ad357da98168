// Values that have brought down other servers, or could: what mutations put in the place of right ones.
// Whatever is a secret among them carries the mark, so that a log can be searched for it.
import { createHash } from "node:crypto";
import type { Chance } from "./chance.ts";

/** Stands in every made-up password and token; in no log may it ever be found. */
export const secretMark = "fuzz5ecretMark";

const hex64 = createHash("sha256").update("nothing of this is stored").digest("hex");

export const nastyNames: readonly string[] = [
  "",
  ".",
  "..",
  "../..",
  "..%2f..%2fetc%2fpasswd",
  "%2e%2e",
  "%2e%2e%2f%2e%2e",
  "%252e%252e%252f",
  "..\\..",
  "%5c..%5c",
  "a/../../b",
  "a/./b",
  "a//b",
  "/etc/passwd",
  "%00",
  "a%00b",
  "%ff%fe",
  "%",
  "%zz",
  "%c0%ae%c0%ae",
  "A",
  "UPPER/case",
  "a b",
  "a%20b",
  "é",
  "%c3%a9",
  "\u202e",
  "_uploads",
  "_manifests",
  "_layers",
  "_catalog",
  "a/_uploads/b",
  "-a",
  "a-",
  "a..b",
  "a__b",
  "a___b",
  "a.-b",
  "a--b",
  "blobs",
  "manifests/manifests",
  "uploads",
  "tags/list",
  "__proto__",
  "constructor",
  "plimsoll",
  "con",
  "~",
  "$(id)",
  "`id`",
  "a;b",
  "a?b",
  "a#b",
  "{name}",
  "*",
  "**",
  "a\r\nX-Injected: 1",
  "%0d%0aX-Injected:%201",
  `x/${"y/".repeat(200)}z`,
  "n".repeat(255),
  "n".repeat(256),
  `${"n".repeat(250)}/a/b`,
  "n".repeat(5_000),
];

export const nastyTags: readonly string[] = [
  ...nastyNames,
  "latest",
  ".hidden",
  "-dash",
  "t".repeat(128),
  "t".repeat(129),
  "current",
  "index",
  "link",
  "v1.0+build",
  "_",
];

export const nastyDigests: readonly string[] = [
  "",
  ":",
  "sha256",
  "sha256:",
  `sha256:${hex64}`,
  `sha256:${hex64.toUpperCase()}`,
  `SHA256:${hex64}`,
  `sha256:${hex64}0`,
  `sha256:${hex64.slice(1)}`,
  `sha256%3A${hex64}`,
  `sha256%3a${hex64}`,
  `sha256:${hex64}%00`,
  `sha256:..%2f${hex64.slice(5)}`,
  `sha256:${"../".repeat(20)}${"a".repeat(4)}`,
  `sha256: ${hex64.slice(1)}`,
  `sha512:${hex64}${hex64}`,
  `sha512:${hex64}`,
  `sha384:${hex64}${hex64.slice(32)}`,
  `sha1:${hex64.slice(24)}`,
  "md5:d41d8cd98f00b204e9800998ecf8427e",
  `blake3:${hex64}`,
  `sha256+b64:${hex64}`,
  `sha256:sha256:${hex64}`,
  `__proto__:${hex64}`,
  `sha256:${"0".repeat(64)}`,
  `sha256:${"a".repeat(10_000)}`,
  `sha256:${"é".repeat(64)}`,
  `sha256:${hex64},sha256:${hex64}`,
];

export const nastyNumbers: readonly string[] = [
  "",
  "0",
  "-1",
  "-0",
  "1.5",
  "1e3",
  "0x10",
  "NaN",
  "Infinity",
  "9007199254740993",
  "18446744073709551616",
  "9".repeat(400),
  " 1",
  "1 ",
  "+1",
  "%31",
  "١",
  "null",
  "[]",
];

export const nastyRanges: readonly string[] = [
  "bytes=0-",
  "bytes=-1",
  "bytes=-0",
  "bytes=0-0",
  "bytes=5-2",
  "bytes=1-99999999999999999999999999",
  "bytes=9007199254740991-",
  "bytes=9007199254740993-9007199254740999",
  "bytes=-9007199254740993",
  "bytes=--1",
  "bytes=0-1,2-3",
  `bytes=${Array.from({ length: 500 }, (_, n) => `${n}-${n}`).join(",")}`,
  "bytes=a-b",
  "bytes= 0 - 1",
  "bytes=",
  "bytes",
  "items=0-1",
  "0-1",
  `bytes=${"0".repeat(1_000)}-1`,
  "bytes=0-\t",
];

export const nastyContentRanges: readonly string[] = [
  "0-0",
  "0-9",
  "bytes 0-9/10",
  "bytes 0-9/*",
  "bytes */10",
  "9-0",
  "-1-5",
  "0-",
  "-",
  "1000000-1000009",
  "0-99999999999999999999",
  "9007199254740990-9007199254740999",
  "0-999999999999999",
  "0-9,10-19",
  "a-b",
  "",
  "0".repeat(5_000),
];

export const nastyTypes: readonly string[] = [
  "",
  "text/html",
  "application/json; charset=utf-16",
  "application/vnd.oci.image.manifest.v1+json; a=b",
  "APPLICATION/VND.OCI.IMAGE.MANIFEST.V1+JSON",
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
  "application/vnd.docker.distribution.manifest.v2+json, text/html",
  "é/ü",
  "a/b\tc",
  "x".repeat(3_000),
  "multipart/form-data; boundary=x",
  "application/x-www-form-urlencoded",
  ";;;",
];

const nastyHosts: readonly string[] = [
  "",
  "a b",
  "[::1",
  "localhost:99999",
  "evil.example/../..",
  "user:pw@host",
  "x".repeat(2_000),
  "é",
  "127.0.0.1\t",
  "//",
  "%00",
];

/** Headers and values for them; none changes how the body is framed. */
export const nastyHeaders: readonly (readonly [name: string, values: readonly string[]])[] = [
  ["Range", nastyRanges],
  ["If-Range", ['"x"', "W/", "", 'W/"x"']],
  ["Content-Range", nastyContentRanges],
  ["Content-Type", nastyTypes],
  ["If-None-Match", ["*", '""', "W/", '"a","b"', ",".repeat(3_000), `"${"x".repeat(3_000)}"`]],
  ["If-Match", ["*", '"x"']],
  ["Accept", ["", "*/*;q=", "é", `${"a/b,".repeat(1_000)}c/d`]],
  ["X-Forwarded-Proto", ["https", "javascript", "https,http", "", "é", "http://x"]],
  ["X-Forwarded-Host", [...nastyHosts, "evil.example"]],
  ["X-Forwarded-For", ["1.2.3.4", "é", "::1, ::2", "x".repeat(2_000)]],
  ["Forwarded", ["host=evil.example;proto=https", 'host="', "for=é", ";;;=", "host=a b"]],
  ["X-Request-Id", ["", "a b", "é", "x".repeat(4_000), "ok-1", '"']],
  ["Origin", ["null", "https://evil.example", "é"]],
  ["Sec-Fetch-Site", ["cross-site", "same-origin", ""]],
  ["X-Plimsoll", ["", "1", "é"]],
  ["Referer", ["http://a:b@c/?token=x", "é", '"><script>', "x".repeat(4_000)]],
  ["User-Agent", ["", "é\tü", '" 200 5 "', "x".repeat(4_000), "${jndi:ldap://x}", "\\x1b[2J"]],
  ["Cookie", ["a=b", "=", "é"]],
  ["traceparent", ["00-0-0-0", "é", `00-${"f".repeat(32)}-${"f".repeat(16)}-01`]],
  ["Last-Event-ID", ["é", "-1"]],
  ["Content-Encoding", ["gzip", "br", "x"]],
  ["Digest", ["sha-256=x"]],
  ["Docker-Content-Digest", nastyDigests.filter((text) => /^[\x21-\x7e]*$/.test(text))],
  ["X-HTTP-Method-Override", ["DELETE"]],
  ["__proto__", ["x"]],
  ["Accept-Encoding", ["gzip", "br;q=1", ""]],
];

export const nastyHostHeaders = nastyHosts;

function base64(text: string): string {
  return Buffer.from(text, "latin1").toString("base64");
}

function jwt(header: unknown, payload: unknown, signature = secretMark): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(payload)}.${signature}`;
}

const claims = (chance: Chance): object => ({
  iss: chance.pick(["plimsoll", "fuzz-issuer", "", 1]),
  aud: chance.pick(["plimsoll", "fuzz-service", ["plimsoll", "fuzz-service"], null]),
  sub: chance.pick(["alice", "ops", "", { a: 1 }, "x".repeat(1_000)]),
  exp: chance.pick([4_102_444_800, 0, -1, "x", 2 ** 53, null]),
  nbf: chance.pick([0, "x", 2 ** 60]),
  access: chance.pick<unknown>([
    [{ type: "repository", name: "play/a", actions: ["*"] }],
    [{ type: "registry", name: "admin", actions: ["*"] }],
    { type: "repository" },
    "x",
    [null, 1, []],
    Array.from({ length: 500 }, () => ({ type: "repository", name: "**", actions: ["pull"] })),
  ]),
  jti: secretMark,
});

/** An Authorization header that nobody was given. */
export function forgedCredentials(chance: Chance, users: readonly string[]): string {
  const user = chance.pick([...users, "", "nobody", "x".repeat(3_000), "é", "__proto__", "a\0b"]);
  const password = chance.pick([
    secretMark,
    `${secretMark}:with:colons`,
    `${secretMark}\0nul`,
    `${secretMark}${"p".repeat(8_000)}`,
    `é${secretMark}`,
    `plimsoll_0123456789abcdef_${secretMark}${"A".repeat(43 - secretMark.length)}`,
    `plimsoll_${secretMark}`,
    `$2b$10$${secretMark}`,
  ]);
  const header = chance.pick<unknown>([
    { alg: "none" },
    { alg: "None", typ: "JWT" },
    { alg: "HS256", typ: "JWT" },
    { alg: "ES256", kid: "../../../../etc/passwd" },
    { alg: "ES256", kid: "fuzz-key" },
    { alg: "ES256", kid: "__proto__" },
    { alg: "ES256", kid: 5 },
    { alg: "RS256", jku: "http://127.0.0.1:1/jwks", x5u: "file:///etc/passwd" },
    { alg: "RS256", x5c: ["MIIB", secretMark] },
    { alg: "RS256", x5c: Array.from({ length: 100 }, () => "A".repeat(50)) },
    { alg: "EdDSA", jwk: { kty: "OKP", crv: "Ed25519", x: "AAAA" } },
    { alg: "ES256", crit: ["exp"], b64: false },
    { alg: ["none"] },
    null,
    [],
  ]);
  return chance.pick([
    () => `Basic ${base64(`${user}:${password}`)}`,
    () => `basic ${base64(`${user}:${password}`)}`,
    () => `Basic ${base64(user + password)}`,
    () => `Basic ${chance.garble(base64(`${user}:${password}`)).replaceAll(/[^\x20-\x7e]/g, "=")}`,
    () => `Bearer ${jwt(header, claims(chance))}`,
    () => `Bearer ${jwt(header, claims(chance), "")}`,
    () => `Bearer ${secretMark}`,
    () => `Bearer ${"a.".repeat(2_000)}${secretMark}`,
    () => `Bearer ${jwt({ alg: "ES256" }, secretMark)}`,
    () => `Negotiate ${secretMark}`,
    () => `Basic ${base64(`alice:${secretMark}`)}, Basic ${base64(`ops:${secretMark}`)}`,
  ])();
}
