// A server of any kind that listens: the registry's, the debug server, the one that a CA asks.
import { addressText } from "./listen.ts";
import type { Stoppable } from "./listener.ts";
import type { ListenOn } from "./options.ts";

export interface RunningServer {
  /** As the configuration writes it (":5000", "127.0.0.1:5000"), or the path of a unix socket. */
  readonly address: string;
  /** 0 on a unix socket. */
  readonly port: number;
  /** Refuses new requests, lets those under way end as far as this kind of server waits, then cuts. */
  stop(): Promise<void>;
}

export function running(
  server: Pick<Stoppable, "port">,
  on: ListenOn,
  stop: () => Promise<void>,
): RunningServer {
  const port = server.port ?? 0;
  return { address: addressText(on, port), port, stop };
}
