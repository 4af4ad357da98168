import { describe, expect, test } from "bun:test";
import { readBoundedBody, uploadBody } from "./request-body.ts";

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

describe("a body of an upload", () => {
  const slow = { bytesPerSecondMin: 1, graceMs: 60_000 };

  test("leaves nothing in memory of what has gone through, in however many chunks it comes", async () => {
    const chunks = 20_000;
    const chunkBytes = 8 * 1024;
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        sent += 1;
        if (sent > chunks) controller.close();
        else controller.enqueue(new Uint8Array(chunkBytes));
      },
    });
    const request = new Request("http://a/", { method: "PATCH", body });
    const residentBytes = (): number => {
      Bun.gc(true);
      return process.memoryUsage.rss();
    };
    const beforeBytes = residentBytes();
    let received = 0;
    let mostBytes = 0;
    for await (const chunk of uploadBody(request, { slow, received: () => 0 }).stream) {
      received += chunk.byteLength;
      if (received === (chunks / 2) * chunkBytes || received === chunks * chunkBytes) {
        mostBytes = Math.max(mostBytes, residentBytes() - beforeBytes);
      }
    }
    expect(received).toBe(chunks * chunkBytes);
    expect(mostBytes).toBeLessThan(40 * 1024 * 1024);
  });

  test("that falls silent is given up", async () => {
    const request = sending("a");
    const impatient = { slow: { bytesPerSecondMin: 1_000, graceMs: 20 }, received: () => 0 };
    const { stream } = uploadBody(request, impatient);
    const read = async (): Promise<void> => {
      for await (const chunk of stream) void chunk;
    };
    expect(await read().catch((error: unknown) => error)).toMatchObject({ status: 408 });
  });
});
