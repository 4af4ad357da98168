// Reads request bodies: small ones whole and bounded, blobs as a stream with what was announced of
// them. Never reads more than the bound, and nothing before it has been decided that the request is
// accepted.
import {
  BlobTooLargeError,
  DeniedError,
  DiskFullError,
  ManifestTooLargeError,
  SizeInvalidError,
  TooManyRequestsError,
} from "../oci/index.ts";
import type { UploadBody } from "../registry/registry.ts";
import { readWithin, smallBodyMsMax } from "./bounded-body.ts";
import { GivenTime } from "./given-time.ts";
import { HttpError } from "./http-error.ts";
import type { SlowLimits } from "./limits/options.ts";
import { Patience } from "./patience.ts";
import { parseContentRange } from "./range.ts";

/** Content-Length; null when the body comes in chunks. The runtime refuses malformed ones. */
export function contentLength(request: Request): number | null {
  const header = request.headers.get("content-length");
  if (header !== null) return Number(header);
  return request.body === null ? 0 : null;
}

/**
 * @throws ManifestTooLargeError before the body is read, or at the first byte too many; HttpError 408 when
 *   it does not come to its end
 */
export async function readManifestBody(
  request: Request,
  { bytesMax, msMax }: { readonly bytesMax: number; readonly msMax: number },
): Promise<Uint8Array> {
  const tooLarge = (): ManifestTooLargeError =>
    new ManifestTooLargeError(
      `the manifest is larger than the ${bytesMax} bytes that are accepted`,
    );
  if ((contentLength(request) ?? 0) > bytesMax) throw tooLarge();
  if (request.body === null) return new Uint8Array(0);
  const tooLate = (): HttpError => tooLateFor("MANIFEST_INVALID", msMax);
  return await readWithin(request.body, { bytesMax, msMax, tooLarge, tooSlow: tooLate });
}

function tooLateFor(code: "MANIFEST_INVALID" | "SIZE_INVALID", msMax: number): HttpError {
  return new HttpError(`the body did not arrive within ${msMax / 1000} seconds`, {
    status: 408,
    code,
    headers: { Connection: "close" },
    limit: "minrate",
  });
}

/** Anything else that is small. @throws HttpError 413, or 408 when it does not come to its end */
export async function readBoundedBody(
  request: Request,
  bytesMax: number,
  msMax = smallBodyMsMax,
): Promise<Uint8Array> {
  const tooMany = (): Error => {
    const message = `the body is larger than the ${bytesMax} bytes that are accepted here`;
    return new HttpError(message, { status: 413, code: "SIZE_INVALID" });
  };
  if ((contentLength(request) ?? 0) > bytesMax) throw tooMany();
  if (request.body === null) return new Uint8Array(0);
  return await readWithin(request.body, {
    bytesMax,
    msMax,
    tooLarge: tooMany,
    tooSlow: () => tooLateFor("SIZE_INVALID", msMax),
  });
}

export interface Receiving {
  /** A sender that falls below is given up with 408. */
  readonly slow: SlowLimits;
  /** Told of the bytes of each chunk; how long to wait before the next one is read. */
  readonly received: (bytes: number) => number;
}

/** @throws RangeInvalidError, SizeInvalidError when Content-Range and Content-Length disagree. */
export function uploadBody(request: Request, receiving: Receiving): UploadBody {
  const range = parseContentRange(request.headers.get("content-range"));
  const announced = contentLength(request);
  const stream = request.body === null ? nothing() : unlessSilent(request, request.body, receiving);
  if (range === null) return { stream, from: null, lengthBytes: announced };
  const lengthBytes = range.end - range.start;
  if (announced !== null && announced !== lengthBytes) {
    throw new SizeInvalidError(
      `Content-Range announces ${lengthBytes} bytes, Content-Length ${announced}`,
    );
  }
  return { stream, from: range.start, lengthBytes };
}

/** Of a body that is refused, what is read and dropped: so much, for so long. */
const dropped = { bytesMax: 64 * 1024 * 1024, msMax: 5_000 } as const;

/**
 * Runs what may refuse a body before it reads it. Most clients send all of it before they read an answer,
 * and where that comes earlier some lose it with the connection: so what still comes is dropped first.
 */
export async function orDrop<T>(body: UploadBody | null, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (body !== null && isRefusal(error)) await drop(body);
    throw error;
  }
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof DeniedError ||
    error instanceof DiskFullError ||
    error instanceof BlobTooLargeError ||
    error instanceof TooManyRequestsError
  );
}

async function drop(body: UploadBody): Promise<void> {
  const time = new GivenTime();
  const timer = setTimeout(() => time.end(new Error("enough was dropped")), dropped.msMax);
  const chunks = body.stream[Symbol.asyncIterator]();
  let bytes = 0;
  try {
    while (bytes <= dropped.bytesMax) {
      const next = await time.wait(chunks.next());
      if (next.done === true) return;
      bytes += next.value.byteLength;
    }
  } catch {
    // It has gone away, is silent, or takes too long: nobody waits for the answer any more, or it comes now.
  } finally {
    clearTimeout(timer);
    // Not waited for: a body that is silent ends when its time is over.
    void chunks.return?.()?.catch(() => undefined);
  }
}

async function* unlessSilent(
  request: Request,
  body: ReadableStream<Uint8Array>,
  { slow, received }: Receiving,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  const patience = new Patience(slow);
  let waitingSinceMs = 0;
  let timer: Timer | undefined;
  const time = new GivenTime();
  // One timer looks again and again, instead of one a chunk.
  const look = (): void => {
    const leftMs =
      waitingSinceMs === 0
        ? patience.leftMs
        : patience.leftMs - (performance.now() - waitingSinceMs);
    if (leftMs <= 0) time.end(tooSlow(slow));
    else timer = setTimeout(look, Math.max(leftMs, lookMsMin));
  };
  look();
  try {
    for (;;) {
      waitingSinceMs = performance.now();
      const { done, value } = await time.wait(reader.read());
      const waitedMs = performance.now() - waitingSinceMs;
      waitingSinceMs = 0;
      if (done) return;
      const { byteLength } = value;
      patience.arrived(byteLength, waitedMs);
      const waitMs = received(byteLength);
      yield value;
      release(value);
      // Not reading is what slows the sender down.
      if (waitMs > 0) await rest(request, waitMs);
    }
  } finally {
    clearTimeout(timer);
    // What is left of a body that nobody wants is the runtime's to drain; that it failed is known.
    reader.cancel().catch(() => undefined);
  }
}

/** Shorter ones are not worth to be told of a client that goes away. */
const longRestMsMin = 500;

/** @throws AbortError when the client goes away meanwhile: nobody else should wait for what it holds. */
async function rest(request: Request, ms: number): Promise<void> {
  if (ms < longRestMsMin) return await Bun.sleep(ms);
  const { signal } = request;
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  const leave = (): void => over.reject(signal.reason);
  signal.addEventListener("abort", leave);
  try {
    signal.throwIfAborted();
    await over.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
  }
}

/** Between two looks at a sender that is late. */
const lookMsMin = 100;

/** Below, giving it back costs more than it frees. */
const releasedBytesMin = 16 * 1024;

/**
 * Gives the memory of a chunk back at once: many uploads together bring it in faster than the
 * collection of garbage would find it (240 MiB where 140 do, with 32 uploads).
 */
function release({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < releasedBytesMin || byteLength !== buffer.byteLength) return;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}

function tooSlow({ bytesPerSecondMin, graceMs }: SlowLimits): HttpError {
  const least = bytesPerSecondMin <= 1 ? "" : `, at ${bytesPerSecondMin} bytes a second at least`;
  return new HttpError(
    `too little arrived for ${graceMs / 1000} seconds${least}; go on where it stopped`,
    {
      status: 408,
      code: "BLOB_UPLOAD_INVALID",
      headers: { Connection: "close" },
      limit: "minrate",
    },
  );
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // A body without bytes.
}
