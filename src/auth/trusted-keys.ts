// The keys of a token server that are trusted: from `rootcertbundle` (PEM certificates) and `jwks`. Both
// files are read again when they change. A token names its key by `kid`, or brings certificates (`x5c`)
// that lead to one of the bundle. Source: distribution, registry/auth/token; RFC 7515 §4.1, RFC 7638.
import { createHash, type KeyObject, X509Certificate } from "node:crypto";
import { z } from "zod";
import type { Clock } from "../registry/ports/clock.ts";
import { readWatched, WatchedFiles } from "../watched-files.ts";
import type { TokenHeader, TokenKeys, VerifyKey } from "./bearer-tokens.ts";
import type { AuthLog } from "./htpasswd-file.ts";

const fileBytesMax = 1024 * 1024;
/** Certificates from a token to a root; longer chains are nobody's. */
const chainMax = 5;

export interface TrustedKeyFiles {
  readonly rootCertBundle: string | null;
  readonly jwks: string | null;
}

type Jwk = Readonly<Record<string, unknown>> & {
  readonly kid?: string;
  readonly kty: string;
  /** The only algorithm that it is for; absent: any of its kind. */
  readonly alg?: string;
};

interface Trusted {
  readonly roots: readonly X509Certificate[];
  readonly byId: ReadonlyMap<string, Jwk>;
}

const jwksSchema = z.object({
  keys: z
    .array(
      z.looseObject({
        kid: z.string().min(1),
        kty: z.enum(["RSA", "EC", "OKP"]),
        alg: z.string().optional(),
        use: z.string().optional(),
        key_ops: z.array(z.string()).optional(),
      }),
    )
    .max(100),
});

const nothing: Trusted = { roots: [], byId: new Map() };

export class TrustedKeys implements TokenKeys {
  readonly #files: TrustedKeyFiles;
  readonly #clock: Clock;
  readonly #log: AuthLog;
  readonly #watched: WatchedFiles;
  #trusted = nothing;
  #version = 0;

  /** @throws Error naming the file that cannot be used: a server must not start with it. */
  constructor(files: TrustedKeyFiles, clock: Clock, log: AuthLog) {
    this.#files = files;
    this.#clock = clock;
    this.#log = log;
    const paths = [files.rootCertBundle, files.jwks].filter((path) => path !== null);
    this.#watched = new WatchedFiles(paths, clock);
    this.#watched.haveChanged();
    this.#trusted = readTrusted(files);
  }

  get version(): number {
    this.#look();
    return this.#version;
  }

  readonly find = async (header: TokenHeader): Promise<VerifyKey | undefined> => {
    this.#look();
    const jwk = this.#jwkOf(header);
    if (jwk === undefined || header.alg === undefined) return undefined;
    if (jwk.alg !== undefined && jwk.alg !== header.alg) return undefined;
    const { importJWK } = await import("jose");
    const key = await importJWK({ ...jwk, alg: header.alg }, header.alg);
    return key instanceof CryptoKey ? key : undefined;
  };

  #jwkOf({ kid, x5c }: TokenHeader): Jwk | undefined {
    const { byId, roots } = this.#trusted;
    if (x5c !== undefined) {
      const key = keyOfChain(x5c, roots, new Date(this.#clock.now()));
      return key === null ? undefined : jwkOf(key);
    }
    if (kid !== undefined) return byId.get(kid);
    // Without a name it can only be the one that there is.
    const keys = new Set(byId.values());
    return keys.size === 1 ? [...keys][0] : undefined;
  }

  #look(): void {
    if (!this.#watched.haveChanged()) return;
    this.#version += 1;
    try {
      this.#trusted = readTrusted(this.#files);
      this.#log.info("auth.token: the trusted keys have changed and are read again");
    } catch (error) {
      // Fail closed: what was trusted before may be what was to be taken away.
      this.#trusted = nothing;
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error(`${reason}; no token is accepted until it can be used`);
    }
  }
}

/** @throws Error naming the key of the configuration and the file. */
function readTrusted({ rootCertBundle, jwks }: TrustedKeyFiles): Trusted {
  const roots =
    rootCertBundle === null ? [] : readFrom("rootcertbundle", rootCertBundle, readCertificates);
  const byId = new Map<string, Jwk>();
  for (const root of roots) {
    const jwk = jwkOf(root.publicKey);
    byId.set(libtrustId(root.publicKey), jwk);
    byId.set(thumbprint(jwk), jwk);
  }
  for (const jwk of jwks === null ? [] : readFrom("jwks", jwks, readJwks)) byId.set(jwk.kid, jwk);
  return { roots, byId };
}

function readFrom<T>(key: string, path: string, read: (text: string) => T): T {
  try {
    return read(readWatched(path, fileBytesMax));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`auth.token.${key}: ${path} cannot be used: ${reason}`, { cause });
  }
}

function readCertificates(text: string): readonly X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error("it holds no PEM certificate");
  return blocks.map((block) => new X509Certificate(block));
}

/** Of the keys those for signatures, and of each what is public: servers list others beside them. */
function readJwks(text: string): readonly (Jwk & { readonly kid: string })[] {
  const parsed = jwksSchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new Error("expected a JSON Web Key Set whose keys have kid and kty (RSA, EC or OKP)");
  }
  const { keys } = parsed.data;
  const usable = keys.filter(
    ({ use = "sig", key_ops: works = ["verify"], alg = "" }) =>
      use === "sig" &&
      !/^(?:RSA|ECDH)/.test(alg) &&
      (works.includes("verify") || works.includes("sign")),
  );
  if (usable.length === 0 && keys.length > 0) {
    throw new Error("none of its keys is for signatures");
  }
  return usable.map(({ kid, kty, alg, crv, x, y, n, e }) => {
    const members = { kid, kty, alg, crv, x, y, n, e };
    return JSON.parse(JSON.stringify(members)) as Jwk & { readonly kid: string };
  });
}

function jwkOf(key: KeyObject): Jwk {
  return key.export({ format: "jwk" }) as Jwk;
}

/** The leaf's key, if certificates that are valid now lead from it to one of the roots. */
function keyOfChain(
  x5c: readonly string[],
  roots: readonly X509Certificate[],
  now: Date,
): KeyObject | null {
  if (x5c.length === 0 || x5c.length > chainMax) return null;
  const chain = x5c.map((text) => new X509Certificate(Buffer.from(text, "base64")));
  for (const [at, certificate] of chain.entries()) {
    if (!isValidAt(certificate, now)) return null;
    if (roots.some((root) => leadsTo(certificate, root, now))) return chain[0]?.publicKey ?? null;
    const issuer = chain[at + 1];
    if (issuer === undefined || !isIssuedBy(certificate, issuer)) return null;
  }
  return null;
}

function leadsTo(certificate: X509Certificate, root: X509Certificate, now: Date): boolean {
  if (certificate.fingerprint256 === root.fingerprint256) return true;
  return isValidAt(root, now) && isIssuedBy(certificate, root);
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isValidAt(certificate: X509Certificate, now: Date): boolean {
  return new Date(certificate.validFrom) <= now && now <= new Date(certificate.validTo);
}

const base32Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** How the classic's token servers name a key: 240 bits of a hash, in groups of four letters. */
function libtrustId(key: KeyObject): string {
  const der = key.export({ type: "spki", format: "der" });
  const hash = createHash("sha256").update(der).digest().subarray(0, 30);
  let bits = 0n;
  for (const byte of hash) bits = (bits << 8n) | BigInt(byte);
  const letters = Array.from({ length: 48 }, (_, at) => {
    return base32Letters[Number((bits >> BigInt(235 - 5 * at)) & 31n)] ?? "";
  });
  return letters.join("").replace(/.{4}(?=.)/g, "$&:");
}

/** RFC 7638: the members that make the key, in the order of their names. */
function thumbprint(jwk: Jwk): string {
  const { kty, crv, e, n, x, y } = jwk;
  const members =
    kty === "RSA" ? { e, kty, n } : kty === "EC" ? { crv, kty, x, y } : { crv, kty, x };
  return createHash("sha256").update(JSON.stringify(members)).digest("base64url");
}
