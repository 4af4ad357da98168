// Who is at the other end of a connection, as logs, leases and events name it.

/** Null on a unix socket. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

/** "address:port", or "unix". */
export function remoteOf(peer: Peer | null): string {
  if (peer === null) return "unix";
  const address = plainAddress(peer.address);
  return address.includes(":") ? `[${address}]:${peer.port}` : `${address}:${peer.port}`;
}

/** An IPv4 client of a socket that listens for both is the same caller as on an IPv4 one. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
