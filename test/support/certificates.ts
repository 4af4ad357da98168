// Certificates for tests, made by the openssl program: CAs, and servers and clients that they certify.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

/** Paths of two PEM files. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const rsa = ["-newkey", "rsa:2048", "-nodes"];

function openssl(...args: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr.toString()}`);
}

export function makeCa(directory: string, name: string): KeyPair {
  mkdirSync(directory, { recursive: true });
  const made = pathsOf(directory, name);
  const files = ["-keyout", made.key, "-out", made.certificate];
  const about = ["-days", "30", "-subj", `/CN=${name}`];
  openssl("req", "-x509", ...curve, ...files, ...about);
  return made;
}

export interface Certified {
  readonly ca: KeyPair;
  /** Its common name. */
  readonly name: string;
  readonly kind?: "ec" | "rsa";
  readonly days?: number;
}

/** For localhost and 127.0.0.1, and for clients. */
export function certify(directory: string, { ca, name, kind, days }: Certified): KeyPair {
  mkdirSync(directory, { recursive: true });
  const made = pathsOf(directory, name);
  const files = ["-keyout", made.key, "-out", made.certificate];
  const by = ["-CA", ca.certificate, "-CAkey", ca.key];
  const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const extensions = [...names, "-addext", "basicConstraints=critical,CA:FALSE"];
  const about = ["-days", String(days ?? 20), "-subj", `/CN=${name}`, ...extensions];
  openssl("req", "-x509", ...(kind === "rsa" ? rsa : curve), ...files, ...by, ...about);
  return made;
}

function pathsOf(directory: string, name: string): KeyPair {
  return { certificate: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) };
}

/** What a client meets: protocol and cipher suite, and the server's common name; null: it is refused. */
export interface Met {
  readonly version: string;
  readonly suite: string;
  readonly commonName: string;
}

/** A handshake by `openssl s_client`, and nothing after it. */
export async function handshake(port: number, ...args: readonly string[]): Promise<Met | null> {
  const command = ["openssl", "s_client", "-connect", `127.0.0.1:${port}`, ...args];
  const child = Bun.spawn(command, { stdin: new Uint8Array(), stdout: "pipe", stderr: "ignore" });
  const text = await child.stdout.text();
  await child.exited;
  const [, version = "", suite = "(NONE)"] = /New, (\S+), Cipher is (\S+)/.exec(text) ?? [];
  const [, commonName = ""] = /subject=.*CN\s*=\s*([^\n,]*)/.exec(text) ?? [];
  // The line before says which version its cipher suites are of, not which one is spoken.
  const spoken = /Protocol\s*:\s*(\S+)/.exec(text)?.[1] ?? version;
  return suite === "(NONE)" ? null : { version: spoken, suite, commonName };
}
