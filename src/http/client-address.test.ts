import { describe, expect, test } from "bun:test";
import { ClientAddresses } from "./client-address.ts";

const clients = new ClientAddresses({
  unix: true,
  networks: [
    { address: "127.0.0.0", bits: 8 },
    { address: "::1", bits: 128 },
    { address: "10.1.0.0", bits: 16 },
    { address: "fd00::", bits: 8 },
  ],
});

function of(address: string | null, headers: Record<string, string>) {
  return clients.of(new Headers(headers), address === null ? null : { address, port: 4711 });
}

describe("the client of a request", () => {
  test.each([
    ["127.0.0.1", "127.0.0.1:4711", "127.0.0.1"],
    ["::ffff:192.0.2.1", "192.0.2.1:4711", "192.0.2.1"],
    ["2001:db8::1", "[2001:db8::1]:4711", "2001:db8::1"],
  ])("is the peer, when no header names another: %s", (peer, remote, address) => {
    expect(of(peer, {})).toEqual({ address, remote, caller: address });
  });

  test("has no address on a unix socket", () => {
    expect(of(null, {})).toEqual({ address: "", remote: "unix", caller: "unix" });
  });

  test.each([
    ["one client", "203.0.113.7", "203.0.113.7"],
    ["a client that claims to be a proxy of another", "1.1.1.1, 203.0.113.7", "203.0.113.7"],
    ["a chain of trusted proxies", "203.0.113.7, 10.1.2.3,10.1.2.4", "203.0.113.7"],
    ["a claim in front of a chain", "1.1.1.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"],
    ["a trusted machine that asks itself", "10.1.2.3, 10.1.9.9", "10.1.2.3"],
    ["with a port", "203.0.113.7:5566", "203.0.113.7"],
    ["IPv6", "2001:DB8:0:0::7", "2001:db8::7"],
    ["IPv6 in brackets", "[2001:db8::7]", "2001:db8::7"],
    ["IPv6 with a port", "[2001:db8::7]:443", "2001:db8::7"],
    ["a trusted IPv6 proxy", "2001:db8::7, fd12::1", "2001:db8::7"],
    ["IPv4 in IPv6", "::ffff:203.0.113.7", "203.0.113.7"],
    ["IPv4 in IPv6, in hexadecimal", "::FFFF:cb00:7107", "203.0.113.7"],
    ["an interface, which is the proxy's own", "fe80::1%eth0", "fe80::1"],
  ])("is whom a trusted proxy names: %s", (_what, header, address) => {
    const client = { address, remote: address, caller: address };
    expect(of("127.0.0.1", { "X-Forwarded-For": header })).toEqual(client);
    expect(of("::ffff:10.1.255.255", { "X-Forwarded-For": header })).toEqual(client);
    expect(of(null, { "X-Forwarded-For": header })).toEqual(client);
  });

  test("is whom X-Real-Ip names, only without X-Forwarded-For", () => {
    expect(of("::1", { "X-Real-Ip": "203.0.113.7" }).address).toBe("203.0.113.7");
    const both = { "X-Real-Ip": "203.0.113.7", "X-Forwarded-For": "203.0.113.8" };
    expect(of("::1", both).address).toBe("203.0.113.8");
  });

  test.each(["10.2.0.1", "192.0.2.1", "2001:db8::1", "::2"])(
    "is the peer, whatever one says who is not trusted: %s",
    (peer) => {
      const headers = { "X-Forwarded-For": "203.0.113.7", "X-Real-Ip": "203.0.113.7" };
      expect(of(peer, headers).address).toBe(peer);
    },
  );

  test("is the peer, where nobody is trusted", () => {
    const nobody = new ClientAddresses({ unix: false, networks: [] });
    const headers = new Headers({ "X-Forwarded-For": "203.0.113.7" });
    expect(nobody.of(headers, { address: "127.0.0.1", port: 1 }).address).toBe("127.0.0.1");
    expect(nobody.of(headers, null).caller).toBe("unix");
  });

  test.each([
    "",
    ",",
    "unknown",
    "_hidden",
    "1.2.3.4.5",
    "[::1",
    "203.0.113.7,",
    "203.0.113.7:99999999",
    "%",
    "fe80::1%",
    "::ffff:1.2.3.4.5",
    "203.0.113.7\u00ff",
    "http://[::1]/",
  ])("is the peer, when what is named is no address: %p", (header) => {
    expect(of("127.0.0.1", { "X-Forwarded-For": header }).address).toBe("127.0.0.1");
    expect(of("127.0.0.1", { "X-Real-Ip": header }).address).toBe("127.0.0.1");
  });

  test.each(["a", ",", " ", "1.1.1.1", "%"])("is the peer, when it is only long: %p", (part) => {
    const header = part.repeat(10_000);
    expect(of("127.0.0.1", { "X-Forwarded-For": header }).address).toBe("127.0.0.1");
    expect(of("127.0.0.1", { "X-Real-Ip": header }).address).toBe("127.0.0.1");
  });

  test("is the last one known, where the list cannot be read further", () => {
    expect(of("127.0.0.1", { "X-Forwarded-For": "1.1.1.1, ?, 10.1.2.3" }).address).toBe("10.1.2.3");
  });

  test("is looked for in a bounded part of the list", () => {
    const list = `203.0.113.7${", 10.1.2.3".repeat(40)}`;
    expect(of("127.0.0.1", { "X-Forwarded-For": list }).address).toBe("10.1.2.3");
  });
});
