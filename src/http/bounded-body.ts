// Reads a small body whole, bounded in size and in time: the runtime gives up no client by itself, and
// whoever sends no more must not hold a connection for good.
import { GivenTime } from "./given-time.ts";

/** So much comes over the slowest line in less. */
export const smallBodyMsMax = 30_000;

export interface BodyBounds {
  readonly bytesMax: number;
  readonly msMax: number;
  readonly tooLarge: () => Error;
  readonly tooSlow: () => Error;
}

/** @throws what the bounds say */
export async function readWithin(
  body: ReadableStream<Uint8Array>,
  { bytesMax, msMax, tooLarge, tooSlow }: BodyBounds,
): Promise<Uint8Array> {
  const reader = body.getReader();
  const time = new GivenTime();
  const timer = setTimeout(() => time.end(tooSlow()), msMax);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for (;;) {
      const { done, value } = await time.wait(reader.read());
      if (done) return Buffer.concat(chunks, sizeBytes);
      sizeBytes += value.byteLength;
      if (sizeBytes > bytesMax) throw tooLarge();
      chunks.push(value.slice());
    }
  } finally {
    clearTimeout(timer);
    // What is left of a body that nobody wants is the runtime's to drain; that it failed is known.
    reader.cancel().catch(() => undefined);
  }
}
