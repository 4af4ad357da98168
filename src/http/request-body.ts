// Reads request bodies: small ones whole and bounded, blobs as a stream with what was announced of
// them. Never reads more than the bound, and nothing before it has been decided that the request is
// accepted.
import {
  DeniedError,
  DiskFullError,
  ManifestTooLargeError,
  SizeInvalidError,
  manifestBytesMax,
} from "../oci/index.ts";
import type { UploadBody } from "../registry/registry.ts";
import { readWithin, smallBodyMsMax } from "./bounded-body.ts";
import { HttpError } from "./http-error.ts";
import { parseContentRange } from "./range.ts";

/** Content-Length; null when the body comes in chunks. The runtime refuses malformed ones. */
export function contentLength(request: Request): number | null {
  const header = request.headers.get("content-length");
  if (header !== null) return Number(header);
  return request.body === null ? 0 : null;
}

/** @throws ManifestTooLargeError before the body is read, or at the first byte too many. */
export function readManifestBody(request: Request): Promise<Uint8Array> {
  return readWhole(request, manifestBytesMax, tooLarge);
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
  const tooSlow = (): Error =>
    new HttpError(`the body did not arrive within ${msMax / 1000} seconds`, {
      status: 408,
      code: "SIZE_INVALID",
      headers: { Connection: "close" },
    });
  if ((contentLength(request) ?? 0) > bytesMax) throw tooMany();
  if (request.body === null) return new Uint8Array(0);
  return await readWithin(request.body, { bytesMax, msMax, tooLarge: tooMany, tooSlow });
}

async function readWhole(
  request: Request,
  bytesMax: number,
  tooMany: () => Error,
): Promise<Uint8Array> {
  const announced = contentLength(request);
  if (announced !== null && announced > bytesMax) throw tooMany();
  if (request.body === null) return new Uint8Array(0);
  if (announced !== null) return request.bytes();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const body: AsyncIterable<Uint8Array> = request.body;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > bytesMax) throw tooMany();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes);
}

function tooLarge(): ManifestTooLargeError {
  return new ManifestTooLargeError(
    `the manifest is larger than the ${manifestBytesMax} bytes that are accepted`,
  );
}

export interface Receiving {
  /** How long the sender may be silent before reading fails with 408. */
  readonly silenceMs: number;
  /** Told of the bytes of each chunk. */
  readonly received: (bytes: number) => void;
}

/** @throws RangeInvalidError, SizeInvalidError when Content-Range and Content-Length disagree. */
export function uploadBody(request: Request, receiving: Receiving): UploadBody {
  const range = parseContentRange(request.headers.get("content-range"));
  const announced = contentLength(request);
  const stream = request.body === null ? nothing() : unlessSilent(request.body, receiving);
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
    if (body !== null && (error instanceof DeniedError || error instanceof DiskFullError)) {
      await drop(body);
    }
    throw error;
  }
}

async function drop(body: UploadBody): Promise<void> {
  const deadlineMs = performance.now() + dropped.msMax;
  let bytes = 0;
  try {
    for await (const chunk of body.stream) {
      bytes += chunk.byteLength;
      if (bytes > dropped.bytesMax || performance.now() > deadlineMs) return;
    }
  } catch {
    // It has gone away, or is silent: then nobody waits for the answer any more, or it comes now.
  }
}

async function* unlessSilent(
  body: ReadableStream<Uint8Array>,
  { silenceMs, received }: Receiving,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let timer: Timer | undefined;
  try {
    for (;;) {
      const silence = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(tooSilent(silenceMs)), silenceMs);
      });
      const { done, value } = await Promise.race([reader.read(), silence]);
      clearTimeout(timer);
      if (done) return;
      received(value.byteLength);
      yield value;
      release(value);
    }
  } finally {
    clearTimeout(timer);
    // What is left of a body that nobody wants is the runtime's to drain; that it failed is known.
    reader.cancel().catch(() => undefined);
  }
}

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

function tooSilent(silenceMs: number): HttpError {
  return new HttpError(`nothing arrived for ${silenceMs / 1000} seconds; go on where it stopped`, {
    status: 408,
    code: "BLOB_UPLOAD_INVALID",
    headers: { Connection: "close" },
  });
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // A body without bytes.
}
