// What answers on a socket, and what is known of the server that listens there.

export type Listening = Bun.Server<undefined>;

/** Enough to stop it. Bodies that are still being sent count as pending requests. */
export type Stoppable = Pick<Listening, "port" | "stop" | "pendingRequests">;

export type Answer = (request: Request, server: Listening) => Response | Promise<Response>;

export interface Listener {
  readonly fetch: Answer;
  /** By path as the client wrote it, before dot segments are resolved; the rest goes to `fetch`. */
  readonly routes?: Readonly<Record<string, Answer>>;
  readonly error: (error: Error) => Response;
  /** Between two requests of a connection, at most 255; absent or 0: for ever. */
  readonly idleSeconds?: number;
  /** In place of what listen.ts says. */
  readonly maxRequestBodySize?: number;
}
