// How commands reach the process that owns the root: `plimsoll/control.sock`, HTTP, one path. The owner
// does the work and streams lines of JSON back; the command prints them and ends as told.
// Only who may write to the root may connect (mode 0600).
import { accessSync, chmodSync, constants, existsSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ownDirectory } from "./owner-lock.ts";

/** What a command tells, and how it ends: `exit` or `error` is always the last. */
type ControlLine =
  | { readonly kind: "event"; readonly event: unknown }
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "error"; readonly message: string };

export interface ControlRequest {
  readonly command: string;
  /** Plain data. */
  readonly options: unknown;
}

/** Whoever asked for a command. */
export interface Asker {
  /** Tells plain data. Awaited, so that who reads slowly holds the command up and not memory. */
  readonly tell: (event: unknown) => Promise<void>;
  /** Aborted when whoever asked has gone. */
  readonly signal: AbortSignal;
}

/** Runs a command in the owner; returns its exit code. */
export type ControlHandler = (request: ControlRequest, asker: Asker) => Promise<number>;

const requestSchema = z.object({ command: z.string(), options: z.unknown() });
const lineSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("event"), event: z.unknown() }),
  z.object({ kind: z.literal("exit"), code: z.number() }),
  z.object({ kind: z.literal("error"), message: z.string() }),
]);

/** The longest path that a socket's address holds (sun_path, less the closing NUL). */
const socketPathMax = 107;

/**
 * The socket by a path that is short enough, however deep the root lies. A long one goes by way of a
 * descriptor of its directory, which stays open as long as the process lives.
 */
function socketPath(rootDirectory: string): string {
  const directory = join(rootDirectory, ownDirectory);
  const path = join(directory, "control.sock");
  if (Buffer.byteLength(path) <= socketPathMax) return path;
  return `/proc/self/fd/${openSync(directory, "r")}/control.sock`;
}

export interface ControlServer {
  stop(): Promise<void>;
}

/** Listens; the caller owns the root, so a socket that is there belongs to nobody any more. */
export function serveControl(rootDirectory: string, handler: ControlHandler): ControlServer {
  const path = join(rootDirectory, ownDirectory, "control.sock");
  rmSync(path, { force: true });
  // A command may be silent for as long as its work takes. The types know no idleTimeout on unix sockets;
  // the runtime does, with a default that cuts such a command off after 10 s.
  const options: object = {
    unix: socketPath(rootDirectory),
    idleTimeout: 0,
    development: false,
    fetch: (request: Request) => answer(request, handler),
  };
  const server = Bun.serve(options as Bun.Serve.Options<undefined>);
  chmodSync(path, 0o600);
  return {
    stop: async () => {
      await server.stop(true);
      rmSync(path, { force: true });
    },
  };
}

async function answer(request: Request, handler: ControlHandler): Promise<Response> {
  // What is no JSON is refused like any other request that is none of ours.
  const parsed = requestSchema.safeParse(await request.json().catch(() => null));
  if (!parsed.success) return new Response(null, { status: 400 });
  const gone = new AbortController();
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  // Whoever asked went away: what is written from now on reaches nobody.
  writer.closed.catch(() => {
    gone.abort();
  });
  void run(parsed.data, handler, { writer, gone: gone.signal });
  return new Response(readable);
}

interface Line {
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly gone: AbortSignal;
}

async function run(request: ControlRequest, handler: ControlHandler, line: Line): Promise<void> {
  const { writer, gone } = line;
  const encoder = new TextEncoder();
  const send = async (message: ControlLine): Promise<void> => {
    await writer.write(encoder.encode(`${JSON.stringify(message)}\n`));
  };
  try {
    const code = await handler(request, {
      tell: (event) => send({ kind: "event", event }),
      signal: gone,
    });
    await send({ kind: "exit", code });
    await writer.close();
  } catch (error) {
    // Nobody listens any more, or the command failed as a whole: then the asker is told.
    if (gone.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    await send({ kind: "error", message }).catch(() => undefined);
    await writer.close().catch(() => undefined);
  }
}

/** The owner has no open door: it is starting, stopping, or another program. */
export class OwnerSilentError extends Error {
  constructor(options: { readonly cause?: unknown } = {}) {
    super("the process that owns the root does not answer; is it starting or stopping?", options);
    this.name = "OwnerSilentError";
  }
}

/** Asks the owner to run a command; its exit code. @throws OwnerSilentError, or what the command threw. */
export async function askOwner(
  rootDirectory: string,
  request: ControlRequest,
  asker: Asker,
): Promise<number> {
  const body = await connect(rootDirectory, request, asker.signal);
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of untilCutOff(body)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      const line = lineSchema.parse(JSON.parse(text));
      if (line.kind === "exit") return line.code;
      if (line.kind === "error") throw new Error(line.message);
      await asker.tell(line.event);
    }
  }
  throw new OwnerSilentError();
}

/** @throws when the owner goes away in the middle, in words for whoever asked */
async function* untilCutOff(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) yield chunk;
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ECONNRESET")) throw cause;
    throw new Error(
      "the process that owns the root has stopped before this was over; what was done until then stays: run the command again",
      { cause },
    );
  }
}

async function connect(
  rootDirectory: string,
  request: ControlRequest,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  if (!existsSync(join(rootDirectory, ownDirectory, "control.sock"))) throw new OwnerSilentError();
  try {
    const response = await fetch("http://owner/run", {
      method: "POST",
      unix: socketPath(rootDirectory),
      signal,
      body: JSON.stringify(request),
      // Bun's own limit of 5 minutes would cut a long collection off.
      timeout: false,
    });
    if (!response.ok || response.body === null) {
      throw new Error(`the owner answered ${response.status}`);
    }
    return response.body;
  } catch (cause) {
    if (isDenied(rootDirectory)) {
      throw new Error(
        "permission denied: run the command as the user of the process that owns the root, or as root",
        { cause },
      );
    }
    throw new OwnerSilentError({ cause });
  }
}

function isDenied(rootDirectory: string): boolean {
  try {
    accessSync(join(rootDirectory, ownDirectory, "control.sock"), constants.W_OK);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EACCES";
  }
}
