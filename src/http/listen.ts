// Opens the socket that a server listens on. Never takes one away from a server that still answers
// on it.
import { lstatSync, unlinkSync } from "node:fs";
import type { Listener, Listening, Stoppable } from "./listener.ts";
import type { ListenOn } from "./options.ts";
import type { Logger } from "./ports.ts";
import { onTlsChange, runtimeTls, type TlsParts } from "./tls.ts";
import { TlsListener } from "./tls-listener.ts";

const limits = {
  // While a body is on its way the runtime's idle timeout is a minimum rate, which would cut off slow but
  // honest clients: connection.ts sets it to what fits.
  idleTimeout: 0,
  // Blobs have no bound of their own; manifests are bounded where they are read.
  maxRequestBodySize: Number.MAX_SAFE_INTEGER,
  // Never the development error page, which shows code and paths.
  development: false,
} as const;

/** With TLS. */
export interface Secured {
  readonly tls: TlsParts;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
}

/** @throws Error naming the address, when it is taken or not of this machine. */
export async function listen(
  on: ListenOn,
  listener: Listener,
  secured: Secured | null = null,
): Promise<Stoppable> {
  try {
    if (on.kind === "unix") return await listenUnix(on.path, listener, secured);
    return secured === null ? listenTcp(on, listener) : await listenTls(on, listener, secured);
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

type TcpAddress = ListenOn & { readonly kind: "tcp" };

/**
 * Each listener has to be ready to share the port with the next one, and so with anybody's. So whether it is
 * free is found out first, by a listener that shares it with none.
 */
async function listenTls(on: TcpAddress, listener: Listener, secured: Secured): Promise<Stoppable> {
  const { tls, logger } = secured;
  if (on.port !== 0) await listenTcp(on, listener).stop(true);
  let port = on.port;
  return new TlsListener({
    listener,
    tls,
    logger,
    open: (own) => {
      const shared = { reusePort: true, tls: runtimeTls(tls) };
      const opened = listenTcp({ ...on, port }, own, shared);
      port = opened.port ?? port;
      return opened;
    },
  });
}

interface Sharing {
  readonly reusePort: boolean;
  readonly tls?: Bun.TLSOptions;
}

function listenTcp(
  on: TcpAddress,
  listener: Listener,
  // Said aloud, because without development mode the runtime shares the port with any other server.
  sharing: Sharing = { reusePort: false },
): Listening {
  const { hostname, port } = on;
  const options = { ...limits, ...handlersOf(listener), port, ...sharing };
  if (hostname !== null) return Bun.serve({ ...options, hostname });
  try {
    return Bun.serve({ ...options, hostname: "::" });
  } catch (error) {
    if (codeOf(error) === "EADDRINUSE" || codeOf(error) === "EACCES") throw error;
    // A machine without IPv6.
    return Bun.serve({ ...options, hostname: "0.0.0.0" });
  }
}

function handlersOf({ idleSeconds = 0, ...handlers }: Listener) {
  return { ...handlers, idleTimeout: idleSeconds };
}

/** Listens on a unix socket; one that a killed server left behind is removed first. */
async function listenUnix(
  path: string,
  listener: Listener,
  secured: Secured | null,
): Promise<Listening> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) {
    if (await answers(path)) throw new Error(`another server listens on ${path}`);
    unlinkSync(path);
  }
  // The types know no idleTimeout on unix sockets; the runtime does, with a default that cuts
  // clients off.
  const options: object = { ...limits, ...handlersOf(listener), unix: path };
  if (secured === null) return Bun.serve(options as Bun.Serve.Options<undefined>);
  const { tls, logger } = secured;
  onTlsChange(tls, () => {
    logger.warn("http.tls: on a unix socket a new certificate is used after the next start");
  });
  const encrypted: object = { ...options, tls: runtimeTls(tls) };
  return Bun.serve(encrypted as Bun.Serve.Options<undefined>);
}

/** @throws Error when that cannot be told, as of a socket of another user. */
async function answers(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data: () => undefined } });
    socket.end();
    return true;
  } catch (error) {
    // Refused: the socket is what a killed server left.
    if (codeOf(error) === "ECONNREFUSED") return false;
    const reason = String(codeOf(error));
    throw new Error(
      `whether another server listens on ${path} cannot be told (${reason}); remove it if none does`,
      { cause: error },
    );
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
