// What a start says on stderr, in three lines: where the server listens, where the data is, how to push.
// Pure. The log says "listening on" besides, for whoever reads logs.

export interface Greeting {
  /** Of the running server, as the configuration writes it; a path when it is a unix socket. */
  readonly address: string;
  /** `http.host` */
  readonly host: string | null;
  /** Null: in memory. */
  readonly rootDirectory: string | null;
}

export function greeting({ address, host, rootDirectory }: Greeting): string {
  return `Listening on ${address}\nData in ${rootDirectory ?? "memory"}\n${howToPush(address, host)}\n`;
}

function howToPush(address: string, host: string | null): string {
  const name =
    host === null ? nameOf(address) : host.replace(/^https?:\/\//, "").replace(/\/.*/, "");
  if (name === null) {
    return `Push through a proxy to this socket; try it with: curl --unix-socket ${address} http://localhost/v2/`;
  }
  return `Push with: docker tag IMAGE ${name}/IMAGE && docker push ${name}/IMAGE`;
}

/** Under which name this machine's clients reach it; null for a unix socket. */
function nameOf(address: string): string | null {
  const match = /^(.*):(\d+)$/.exec(address);
  if (match === null || address.startsWith("/")) return null;
  const [, hostname = "", port = ""] = match;
  return ["", "0.0.0.0", "::", "[::]"].includes(hostname) ? `localhost:${port}` : address;
}
