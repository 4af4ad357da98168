// `http.trustedproxies`: whose word about the client's address counts. Addresses, networks in CIDR form,
// and the word "unix" for whoever comes through a unix socket.
import { isIP } from "node:net";

export interface TrustedNetwork {
  readonly address: string;
  /** Leading bits that count: at most 32 of an IPv4 address, 128 of an IPv6 address. */
  readonly bits: number;
}

export interface TrustedProxies {
  readonly unix: boolean;
  readonly networks: readonly TrustedNetwork[];
}

export const trustedProxyForm =
  'an address such as 10.0.0.5, a network such as 10.0.0.0/8 or fd00::/8, or "unix"';

/** Undefined when it is neither. */
export function parseTrustedProxy(text: string): TrustedNetwork | "unix" | undefined {
  if (text === "unix") return text;
  const [address = "", bits, ...rest] = text.split("/");
  const family = isIP(address);
  const bitsMax = family === 4 ? 32 : 128;
  if (family === 0 || address.includes("%") || rest.length > 0) return undefined;
  if (bits === undefined) return { address, bits: bitsMax };
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > bitsMax) return undefined;
  return { address, bits: Number(bits) };
}

export function trustedProxiesOf(parts: readonly (TrustedNetwork | "unix")[]): TrustedProxies {
  return {
    unix: parts.includes("unix"),
    networks: parts.filter((part) => part !== "unix"),
  };
}

/** As they are written in the configuration. */
export function formatTrustedProxies({ unix, networks }: TrustedProxies): string[] {
  const written = networks.map(({ address, bits }) => {
    return bits === (isIP(address) === 4 ? 32 : 128) ? address : `${address}/${bits}`;
  });
  return unix ? [...written, "unix"] : written;
}
