// What `health.file`, `health.http` and `health.tcp` look at, with the classic registry's names and
// messages. Shows no header and no secret of a URL: anybody who reaches the debug address reads this.
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Config } from "../../config/index.ts";
import { maskUri } from "../field-text.ts";
import { type CheckOptions, PeriodicCheck } from "./periodic-check.ts";

type HealthConfig = Config["health"];

export function configuredChecks({ files, http, tcp }: HealthConfig): PeriodicCheck[] {
  const checks: CheckOptions[] = [
    ...files.map((check) => ({
      name: check.file,
      intervalMs: check.intervalMs,
      threshold: 1,
      run: () => checkFile(check.file),
    })),
    ...http.map((check) => ({
      ...check,
      name: maskUri(plainUrl(check.uri)),
      run: () => checkHttp(check),
    })),
    ...tcp.map((check) => ({ ...check, name: check.addr, run: () => checkTcp(check) })),
  ];
  return checks.map((check) => new PeriodicCheck(check));
}

/** Fails while the file is there. */
async function checkFile(file: string): Promise<void> {
  try {
    await stat(resolve(file));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return;
    throw error;
  }
  throw new Error("file exists");
}

async function checkHttp(check: HealthConfig["http"][number]): Promise<void> {
  const url = new URL(check.uri);
  const headers = new Headers();
  for (const [name, values] of Object.entries(check.headers)) {
    for (const value of values) headers.append(name, value);
  }
  if (url.username !== "" && !headers.has("authorization")) {
    const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.set("authorization", `Basic ${Buffer.from(login).toString("base64")}`);
  }
  const plain = plainUrl(check.uri);
  let status: number;
  try {
    const signal = AbortSignal.timeout(check.timeoutMs);
    ({ status } = await fetch(plain, { method: "HEAD", headers, signal }));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`error while checking: ${maskUri(plain)}: ${reason}`, { cause });
  }
  if (status !== check.statusCode) {
    throw new Error(`downstream service returned unexpected status: ${status}`);
  }
}

async function checkTcp({ addr, timeoutMs }: HealthConfig["tcp"][number]): Promise<void> {
  const colon = addr.lastIndexOf(":");
  const hostname = addr.slice(0, colon).replace(/^\[|\]$/g, "");
  const connected = Bun.connect({
    hostname,
    port: Number(addr.slice(colon + 1)),
    socket: { data: () => undefined, error: () => undefined },
  });
  // One that comes after all is not left open.
  connected.then((socket) => socket.end()).catch(() => undefined);
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    over.reject(new Error("timeout"));
  }, timeoutMs);
  try {
    await Promise.race([connected, over.promise]);
  } catch (cause) {
    throw new Error(`connection to ${addr} failed`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** Without the login before its host. */
function plainUrl(uri: string): string {
  return uri.replace(/\/\/[^/?#@]*@/, "//");
}
