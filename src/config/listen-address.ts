// Where a server listens, out of the classic's `addr` (":5000", "127.0.0.1:5000", "[::1]:5000",
// or a path when `net` is "unix"). Opens nothing.

export type ListenAddress =
  /** `hostname` null: all interfaces. `port` 0: any free one. */
  | { readonly kind: "tcp"; readonly hostname: string | null; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export const listenAddressForm = 'an address such as ":5000", "127.0.0.1:5000" or "[::1]:5000"';

/** The names of ports that Go would look up and that people write. */
const portNames: ReadonlyMap<string, number> = new Map([
  ["http", 80],
  ["https", 443],
]);

/** Null when the text is not host and port. */
export function parseTcpAddress(text: string): ListenAddress | null {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^\s:[\]/]*)):([0-9]{1,5}|[a-z]+)$/.exec(
    text,
  );
  if (match === null) return null;
  const port = portNames.get(match[3] ?? "") ?? Number(match[3]);
  if (!Number.isInteger(port) || port > 65_535) return null;
  const hostname = match[1] ?? match[2] ?? "";
  // "*" is not Go's, but it is what many expect to mean "all".
  return { kind: "tcp", hostname: hostname === "" || hostname === "*" ? null : hostname, port };
}

/** As `addr` is written in the configuration. */
export function formatListenAddress(listen: ListenAddress): string {
  if (listen.kind === "unix") return listen.path;
  const hostname = listen.hostname ?? "";
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${listen.port}`;
}
