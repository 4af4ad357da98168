// Opens the socket that a server listens on. Never takes one away from a server that still answers
// on it.
import { lstatSync, unlinkSync } from "node:fs";
import type { ListenOn } from "./options.ts";

export type Listening = Bun.Server<undefined>;

type Answer = (request: Request, server: Listening) => Response | Promise<Response>;

export interface Listener {
  readonly fetch: Answer;
  /** By path as the client wrote it, before dot segments are resolved; the rest goes to `fetch`. */
  readonly routes?: Readonly<Record<string, Answer>>;
  readonly error: (error: Error) => Response;
  /** In seconds, and in place of what is said below. */
  readonly idleTimeout?: number;
  readonly maxRequestBodySize?: number;
}

const limits = {
  // The runtime's idle timeout is a minimum rate, which would cut off slow but honest clients.
  idleTimeout: 0,
  // Blobs have no bound of their own; manifests are bounded where they are read.
  maxRequestBodySize: Number.MAX_SAFE_INTEGER,
  // Never the development error page, which shows code and paths.
  development: false,
} as const;

/** @throws Error naming the address, when it is taken or not of this machine. */
export async function listen(on: ListenOn, listener: Listener): Promise<Listening> {
  try {
    return await (on.kind === "unix" ? listenUnix(on.path, listener) : listenTcp(on, listener));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot listen on ${addressText(on)}: ${reason}`, { cause });
  }
}

/** As the configuration writes it; the port that was given, where any would do. */
export function addressText(on: ListenOn, port: number = on.kind === "tcp" ? on.port : 0): string {
  if (on.kind === "unix") return on.path;
  const host = on.hostname ?? "";
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

async function listenTcp(
  on: ListenOn & { readonly kind: "tcp" },
  listener: Listener,
): Promise<Listening> {
  const { hostname, port } = on;
  // Said aloud, because without development mode the runtime shares the port with any other server.
  const options = { ...limits, ...listener, port, reusePort: false };
  if (hostname !== null) return Bun.serve({ ...options, hostname });
  try {
    return Bun.serve({ ...options, hostname: "::" });
  } catch (error) {
    if (codeOf(error) === "EADDRINUSE" || codeOf(error) === "EACCES") throw error;
    // A machine without IPv6.
    return Bun.serve({ ...options, hostname: "0.0.0.0" });
  }
}

/** Listens on a unix socket; one that a killed server left behind is removed first. */
async function listenUnix(path: string, listener: Listener): Promise<Listening> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) {
    if (await answers(path)) throw new Error(`another server listens on ${path}`);
    unlinkSync(path);
  }
  // The types know no idleTimeout on unix sockets; the runtime does, with a default that cuts
  // clients off.
  const options: object = { ...limits, ...listener, unix: path };
  return Bun.serve(options as Bun.Serve.Options<undefined>);
}

async function answers(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => undefined } });
    socket.end();
    return true;
  } catch {
    // Nobody listens: the socket is what a killed server left.
    return false;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
