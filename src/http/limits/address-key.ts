// Under which name an address is counted. Whoever has one IPv6 address has the 2^64 of its network, so
// that network is the client.
import { isIPv6 } from "node:net";

/** An IPv4 address, or the first four groups of an IPv6 one; anything else ("unix") as it is. */
export function addressKey(address: string): string {
  return isIPv6(address) ? groupsOf(address).slice(0, 4).join(":") : address;
}

/** The network around it, /24 or /48: the neighbours that an attacker with many addresses has. */
export function neighbourhood(key: string): string {
  const separator = key.includes(":") ? ":" : ".";
  return key.split(separator).slice(0, 3).join(separator);
}

function groupsOf(address: string): string[] {
  const [bare = ""] = address.split("%", 1);
  const [head = "", tail] = bare.split("::");
  const first = head === "" ? [] : head.split(":");
  if (tail === undefined) return first;
  const last = tail === "" ? [] : tail.split(":");
  // An IPv4 address at the end stands for two groups.
  const missing = 8 - first.length - last.length - (tail.includes(".") ? 1 : 0);
  return [...first, ...Array.from({ length: Math.max(0, missing) }, () => "0"), ...last];
}
