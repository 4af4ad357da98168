import { describe, expect, test } from "bun:test";
import { formatListenAddress, parseTcpAddress } from "./listen-address.ts";

describe("parseTcpAddress", () => {
  test.each([
    [":5000", null, 5000],
    ["0.0.0.0:80", "0.0.0.0", 80],
    ["localhost:0", "localhost", 0],
    ["[::1]:5000", "::1", 5000],
    [":http", null, 80],
    ["*:5000", null, 5000],
  ])("%s", (text, hostname, port) => {
    expect(parseTcpAddress(text)).toEqual({ kind: "tcp", hostname, port });
  });

  test.each(["", "5000", ":", ":65536", "::1:5000", "a b:5000", "http://x:5000", ":5000/"])(
    "%p is refused",
    (text) => {
      expect(parseTcpAddress(text)).toBeNull();
    },
  );

  test("an address is formatted as it was written", () => {
    for (const text of [":5000", "127.0.0.1:80", "[::1]:5000"]) {
      const listen = parseTcpAddress(text);
      expect(listen === null ? "" : formatListenAddress(listen)).toBe(text);
    }
  });
});
