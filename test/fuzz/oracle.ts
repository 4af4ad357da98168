// What must be true of every answer, whatever was asked. Throws `Violation`.
import type { Asked } from "./asked.ts";
import { isPlain } from "./asked.ts";
import { digestOf } from "./manifests.ts";
import type { Answer } from "./wire.ts";

export class Violation extends Error {
  override readonly name = "Violation";
}

/** What the registry never gives to anybody: its secret, its users' hashes, others' tokens. */
export type Secrets = readonly string[];

export interface Rules {
  readonly secrets: Secrets;
  /** Nothing may be changed: a registry in read-only mode. */
  readonly isReadOnly: boolean;
  /** Who shows no right credentials changes nothing. */
  readonly isGuarded: boolean;
  readonly prefix: string;
}

/** Of the runtime itself, which knows no JSON: of what is no valid HTTP/1.1. */
const runtimeStatuses = new Set([400, 413, 431, 505]);

const isOurs = ({ headers }: Answer): boolean =>
  headers.has("docker-distribution-api-version") || headers.has("cache-control");

export function checkAnswer(rules: Rules, asked: Asked, answer: Answer): void {
  const { status, headers, body } = answer;
  if (headers.has("x-injected")) throw new Violation("a header was injected");
  if (!isOurs(answer)) {
    if (isPlain(asked)) throw new Violation(`the runtime answered ${status} to a right request`);
    if (!runtimeStatuses.has(status)) throw new Violation(`the runtime answered ${status}`);
    return;
  }
  if (status >= 500) checkServerError(asked, answer);
  if (status >= 400 && asked.method !== "HEAD") checkErrorForm(answer);
  checkSecrets(rules, answer);
  if (status < 300) {
    checkRights(rules, asked, status);
    if (asked.method === "GET" && status === 200) checkContent(asked, headers, body);
  }
}

/** On purpose: too much at once. Everything else is a fault. */
function checkServerError(asked: Asked, { status, headers, body }: Answer): void {
  const isBusy = status === 503 && headers.has("retry-after");
  const said = body.toString();
  const isStreams = status === 503 && said.includes('"TOO_MANY_STREAMS"');
  if (isBusy && (asked.method === "HEAD" || said.includes('"UNAVAILABLE"'))) return;
  if (isStreams) return;
  throw new Violation(`${status}: ${said.slice(0, 300)}`);
}

function checkErrorForm({ status, headers, body }: Answer): void {
  const type = headers.get("content-type") ?? "";
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch (cause) {
    // A client that has gone away is answered with nothing.
    if (status === 499 && body.length === 0) return;
    throw new Violation(`${status} whose body is no JSON: ${body.toString().slice(0, 200)}`, {
      cause,
    });
  }
  if (!type.startsWith("application/json")) throw new Violation(`${status} of type ${type}`);
  const { errors, error } = value as { errors?: unknown; error?: unknown };
  const listed: unknown[] = Array.isArray(errors) ? errors : [error];
  for (const one of listed) {
    const { code, message } = (one ?? {}) as { code?: unknown; message?: unknown };
    if (typeof code !== "string" || !/^[A-Z_]+$/.test(code) || typeof message !== "string") {
      throw new Violation(`${status} without code and message: ${body.toString().slice(0, 200)}`);
    }
    if (/\/tmp\/|node_modules|\bat \w+ \(|SQLITE|ENOENT|EACCES/.test(message)) {
      throw new Violation(`a message that tells of the inside: ${message.slice(0, 300)}`);
    }
  }
}

function checkSecrets({ secrets }: Rules, { headers, body }: Answer): void {
  const text = body.length < 200_000 ? body.toString("latin1") : "";
  for (const secret of secrets) {
    if (text.includes(secret)) throw new Violation("an answer holds a secret");
    for (const value of headers.values()) {
      if (value.includes(secret)) throw new Violation("a header holds a secret");
    }
  }
}

const changing = new Set(["POST", "PUT", "PATCH", "DELETE"]);

function checkRights({ isReadOnly, isGuarded, prefix }: Rules, asked: Asked, status: number): void {
  const { method, target, credentials } = asked;
  // Probes (/livez, /readyz) answer whoever asks, in whatever way.
  const isChange = changing.has(method) && !/auth|preview|collection|verification/.test(target);
  if (isReadOnly && isChange && target.startsWith(`${prefix}/v2/`) && !target.endsWith("z")) {
    throw new Violation(`${status} to ${method} while read-only`);
  }
  if (!isGuarded || credentials === "right") return;
  // The token endpoint gives tokens for nobody to nobody; they open what everybody may see.
  if (changing.has(method) && !/auth\/|%|\.\.|z$/.test(target)) {
    throw new Violation(`${status} to ${method} with ${credentials ?? "no"} credentials`);
  }
  const isPrivate = /^\/v2\/(?:play|keep)\/[^%?]*$/.test(target.slice(prefix.length));
  if (isPrivate && !target.includes("..") && method !== "OPTIONS") {
    throw new Violation(`${status} to ${method} of what is private`);
  }
}

/** Bytes are those of the digest that they are named by. */
function checkContent(asked: Asked, headers: Answer["headers"], body: Buffer): void {
  const digest = headers.get("docker-content-digest");
  if (digest === undefined) return;
  const algorithm = digest.slice(0, digest.indexOf(":"));
  if (digestOf(body, algorithm) !== digest) throw new Violation(`other bytes than ${digest}`);
  const wanted = /(sha256|sha512)(?::|%3a)([0-9a-f]{64,128})(?:$|[?#])/i.exec(
    asked.target.split("?")[0] ?? "",
  );
  if (wanted !== null && wanted[2] !== undefined && !digest.endsWith(wanted[2])) {
    throw new Violation(`asked for ${wanted[2]}, answered ${digest}`);
  }
}
