// Sends a body no faster than its client may have it. The runtime drops the Content-Length of a body that
// it does not know to be a file, so such an answer comes in chunks.
import type { Reply } from "../reply.ts";
import type { Visitor } from "./limits.ts";

/** Small, so that transfers of one client take turns often. */
const portionBytes = 64 * 1024;

/** Below, nobody takes a pause for a client that is gone. */
const heldMsMin = 500;

/** Told of longer pauses, in which nothing is sent. */
export interface Held {
  holds(): void;
  sends(): void;
}

export async function pacedReply(reply: Reply, visitor: Visitor, held: Held): Promise<Reply> {
  const { body, sizeBytes } = reply;
  if (body === null) return reply;
  if (typeof body === "string" || body instanceof Uint8Array) {
    await pause(visitor.sent(sizeBytes ?? 0));
    return reply;
  }
  const stream = body instanceof Blob ? body.stream() : body;
  return { ...reply, body: streamOf(paced(whole(stream, sizeBytes), visitor, held)) };
}

/** Without a Content-Length, an end that comes too early looks like any other unless it is an error. */
async function* whole(
  body: AsyncIterable<Uint8Array>,
  sizeBytes: number | null,
): AsyncGenerator<Uint8Array, undefined> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    yield chunk;
  }
  if (sizeBytes !== null && bytes !== sizeBytes) {
    throw new Error(`the body ended after ${bytes} of ${sizeBytes} bytes`);
  }
}

function streamOf(portions: AsyncGenerator<Uint8Array, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await portions.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      // The file is let go when the client is gone.
      cancel: async () => void (await portions.return(undefined)),
    },
    { highWaterMark: 0 },
  );
}

async function* paced(
  body: AsyncIterable<Uint8Array>,
  visitor: Visitor,
  held: Held,
): AsyncGenerator<Uint8Array, undefined> {
  for await (const chunk of body) {
    for (let at = 0; at < chunk.byteLength; at += portionBytes) {
      const portion = chunk.subarray(at, at + portionBytes);
      yield portion;
      const waitMs = visitor.sent(portion.byteLength);
      const isHeld = waitMs >= heldMsMin;
      if (isHeld) held.holds();
      await pause(waitMs);
      if (isHeld) held.sends();
    }
  }
}

async function pause(ms: number): Promise<void> {
  if (ms > 0) await Bun.sleep(ms);
}
