import { expect, test } from "bun:test";
import { greeting } from "./greeting.ts";

function lastLine(address: string, host: string | null = null): string {
  return greeting({ address, host, rootDirectory: "/data" }).trim().split("\n").at(-1) ?? "";
}

const pushTo = (name: string): string =>
  `Push with: docker tag IMAGE ${name}/IMAGE && docker push ${name}/IMAGE`;

test("three lines: where it listens, where the data is, how to push", () => {
  expect(greeting({ address: "127.0.0.1:5000", host: null, rootDirectory: "/data" })).toBe(
    `Listening on 127.0.0.1:5000\nData in /data\n${pushTo("127.0.0.1:5000")}\n`,
  );
  expect(greeting({ address: ":5000", host: null, rootDirectory: null })).toContain(
    "\nData in memory\n",
  );
});

test.each([":5000", "0.0.0.0:5000", "[::]:5000"])(
  "all interfaces (%s) are reached as localhost",
  (address) => {
    expect(lastLine(address)).toBe(pushTo("localhost:5000"));
  },
);

test("one address is reached by its own name, or by that of http.host", () => {
  expect(lastLine("[::1]:5000")).toBe(pushTo("[::1]:5000"));
  expect(lastLine("10.0.0.1:80")).toBe(pushTo("10.0.0.1:80"));
  expect(lastLine(":5000", "https://r.example.com/")).toBe(pushTo("r.example.com"));
  expect(lastLine(":5000", "http://r.example.com:8080")).toBe(pushTo("r.example.com:8080"));
});

test("nobody pushes to a unix socket with docker", () => {
  expect(lastLine("/run/registry.sock")).toContain("curl --unix-socket /run/registry.sock");
});
