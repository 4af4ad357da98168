// Who a request comes from: the peer of the connection, or, where the peer is a proxy that is trusted
// (`http.trustedproxies`), the client that the proxy names. Logs, leases, events, the audit and limits
// go by it, so nobody else's word counts: anybody can send X-Forwarded-For. docs/proxy.md explains it.
import { BlockList, isIP } from "node:net";
import type { TrustedProxies } from "./options.ts";
import { type Peer, plainAddress, remoteOf } from "./peer.ts";

export interface Client {
  /** Without the port; "" when it came through a unix socket and nobody named it. */
  readonly address: string;
  /** "address:port" of a peer, the address alone of a client that a proxy names, or "unix". */
  readonly remote: string;
  /** The address, or "unix": without the port, which changes with every connection. */
  readonly caller: string;
}

/** More proxies than that are in nobody's way. */
const entriesMax = 32;

/** "[address]:port", "address:port" of IPv4: some proxies add the port. */
const withPort = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/;

/** The longest: an IPv6 address with an embedded IPv4 one and an interface, in brackets, with a port. */
const entryLengthMax = 80;

export class ClientAddresses {
  readonly #trusted = new BlockList();
  readonly #trustsUnix: boolean;
  readonly #trustsNobody: boolean;

  constructor({ unix, networks }: TrustedProxies) {
    this.#trustsUnix = unix;
    this.#trustsNobody = !unix && networks.length === 0;
    for (const { address, bits } of networks) {
      this.#trusted.addSubnet(address, bits, familyOf(address));
    }
  }

  /** @param peer null on a unix socket. Never throws, whatever the headers say. */
  of(headers: Headers, peer: Peer | null): Client {
    // To look for headers is what costs most here.
    if (this.#trustsNobody) return clientAt(peer);
    const forwardedFor = headers.get("x-forwarded-for");
    const realIp = forwardedFor === null ? headers.get("x-real-ip") : null;
    if (forwardedFor === null && realIp === null) return clientAt(peer);
    if (!this.#trustsPeer(peer)) return clientAt(peer);
    const named =
      forwardedFor === null ? parsedEntry(realIp ?? "") : this.#lastUntrusted(forwardedFor);
    return named === null ? clientAt(peer) : { address: named, remote: named, caller: named };
  }

  #trustsPeer(peer: Peer | null): boolean {
    return peer === null ? this.#trustsUnix : this.#trusts(plainAddress(peer.address));
  }

  #trusts(address: string): boolean {
    const zone = address.indexOf("%");
    const bare = zone === -1 ? address : address.slice(0, zone);
    return isIP(bare) !== 0 && this.#trusted.check(bare, familyOf(bare));
  }

  /**
   * Each proxy appends whom it was asked by, so the list is true from its end up to the first entry that a
   * trusted proxy did not write: the one before that is whom a client claims to have been asked by.
   * Null: not even the last entry is an address.
   */
  #lastUntrusted(list: string): string | null {
    let named: string | null = null;
    let end = list.length;
    for (let entries = 0; entries < entriesMax && end >= 0; entries++) {
      const comma = end === 0 ? -1 : list.lastIndexOf(",", end - 1);
      const entry = parsedEntry(list.slice(comma + 1, end));
      // What cannot be read ends what can be believed; whoever wrote it is the last one known.
      if (entry === null) return named;
      named = entry;
      if (!this.#trusts(entry)) return named;
      end = comma;
    }
    return named;
  }
}

function clientAt(peer: Peer | null): Client {
  if (peer === null) return { address: "", remote: "unix", caller: "unix" };
  const address = plainAddress(peer.address);
  return { address, remote: remoteOf(peer), caller: address };
}

/** In its one usual spelling, so that a client is one caller; null when it is no address. */
function parsedEntry(text: string): string | null {
  const entry = text.trim();
  if (entry.length > entryLengthMax) return null;
  const match = withPort.exec(entry);
  const address = plainAddress(match?.[1] ?? match?.[2] ?? entry);
  const family = isIP(address);
  if (family === 4) return address;
  if (family === 0) return null;
  // The runtime spells it as RFC 5952 says. It knows no interfaces, which are the proxy's own anyway.
  const [bare = ""] = address.split("%", 1);
  const spelled = new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(spelled);
  return mapped === null ? spelled : ipv4Of(mapped[1] ?? "", mapped[2] ?? "");
}

function ipv4Of(high: string, low: string): string {
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 4 ? "ipv4" : "ipv6";
}
