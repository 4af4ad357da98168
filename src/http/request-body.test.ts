import { describe, expect, test } from "bun:test";
import { readBoundedBody } from "./request-body.ts";

function sending(...parts: string[]): Request {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const part of parts) controller.enqueue(Buffer.from(part));
    },
  });
  return new Request("http://a/", { method: "POST", body });
}

describe("a small body", () => {
  test.each([
    ["that never ends", ["a"], 408],
    ["that is too large, in parts", ["abc", "def"], 413],
  ] as const)("%s is given up", async (_, parts, status) => {
    const read = readBoundedBody(sending(...parts), 5, 20);
    expect(await read.catch((error: unknown) => error)).toMatchObject({ status });
  });

  test("that announces too much is not read", async () => {
    const headers = { "Content-Length": "6" };
    const request = new Request("http://a/", { method: "POST", headers, body: "abcdef" });
    expect(await readBoundedBody(request, 5).catch((error: unknown) => error)).toMatchObject({
      status: 413,
    });
  });
});
