import { describe, expect, test } from "bun:test";
import { formatTrustedProxies, parseTrustedProxy, trustedProxiesOf } from "./trusted-proxies.ts";

describe("parseTrustedProxy", () => {
  test.each([
    ["10.0.0.5", { address: "10.0.0.5", bits: 32 }],
    ["10.0.0.0/8", { address: "10.0.0.0", bits: 8 }],
    ["0.0.0.0/0", { address: "0.0.0.0", bits: 0 }],
    ["::1", { address: "::1", bits: 128 }],
    ["fd00::/8", { address: "fd00::", bits: 8 }],
    ["unix", "unix" as const],
  ])("%s", (text, expected) => {
    expect(parseTrustedProxy(text)).toEqual(expected);
  });

  test.each([
    "",
    "localhost",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "::1/129",
    "fe80::1%eth0",
    "10.0.0",
    "10.0.0.0/0x8",
    "Unix",
  ])("%p is refused", (text) => {
    expect(parseTrustedProxy(text)).toBeUndefined();
  });
});

test("they are written as they were read", () => {
  const written = ["127.0.0.0/8", "::1", "10.0.0.5", "fd00::/8", "unix"];
  const parts = written.map((text) => parseTrustedProxy(text)).filter((part) => part !== undefined);
  expect(formatTrustedProxies(trustedProxiesOf(parts))).toEqual(written);
  expect(formatTrustedProxies(trustedProxiesOf([]))).toEqual([]);
});
