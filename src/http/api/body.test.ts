import { describe, expect, test } from "bun:test";
import { readJsonBody } from "./body.ts";

function sending(
  start: (controller: ReadableStreamDefaultController<Uint8Array>) => void,
): Request {
  const headers = { "Content-Type": "application/json" };
  return new Request("http://a/", { method: "POST", headers, body: new ReadableStream({ start }) });
}

describe("a body", () => {
  test("that never ends is given up", async () => {
    const request = sending((controller) => {
      controller.enqueue(Buffer.from("{"));
    });
    const read = readJsonBody(request, 20);
    expect(read).rejects.toMatchObject({ code: "BODY_TOO_SLOW" });
    await read.catch(() => undefined);
  });

  test("comes in parts", async () => {
    const request = sending((controller) => {
      for (const part of ['{"a":', "1}"]) controller.enqueue(Buffer.from(part));
      controller.close();
    });
    expect(await readJsonBody(request)).toEqual({ a: 1 });
  });

  test("without bytes is {}", async () => {
    expect(
      await readJsonBody(
        sending((controller) => {
          controller.close();
        }),
      ),
    ).toEqual({});
  });
});
