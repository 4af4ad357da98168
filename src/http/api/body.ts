// Reads the JSON body of a request, bounded in size and time. An empty one counts as {}.
import { contentLength } from "../request-body.ts";
import { ApiError } from "./api-error.ts";

const bodyBytesMax = 64 * 1024;

/** So much comes over the slowest line in less; whoever sends no more must not hold a connection for good. */
const bodyMsMax = 30_000;

/** @throws ApiError */
export async function readJsonBody(request: Request, msMax = bodyMsMax): Promise<unknown> {
  const announced = contentLength(request);
  if (announced !== null && announced > bodyBytesMax) throw tooLarge();
  if (request.body === null || announced === 0) return {};
  const type = (request.headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new ApiError(
      "UNSUPPORTED_MEDIA_TYPE",
      `Content-Type: "${(type ?? "").slice(0, 80)}" is not accepted; expected application/json`,
    );
  }
  const bytes = await readWithin(request.body, msMax);
  if (bytes.byteLength === 0) return {};
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The parser's words are about positions in a text that the client knows better.
    throw new ApiError("INVALID_BODY", "the body is not JSON in UTF-8");
  }
}

async function readWithin(body: ReadableStream<Uint8Array>, msMax: number): Promise<Uint8Array> {
  const reader = body.getReader();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(tooSlow(msMax)), msMax);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) return Buffer.concat(chunks, sizeBytes);
      sizeBytes += value.byteLength;
      if (sizeBytes > bodyBytesMax) throw tooLarge();
      chunks.push(value.slice());
    }
  } finally {
    clearTimeout(timer);
    // What is left of a body that nobody wants is the runtime's to drain; that it failed is known.
    reader.cancel().catch(() => undefined);
  }
}

function tooSlow(msMax: number): ApiError {
  return new ApiError("BODY_TOO_SLOW", `the body did not arrive within ${msMax / 1000} seconds`, {
    headers: { Connection: "close" },
  });
}

function tooLarge(): ApiError {
  return new ApiError(
    "BODY_TOO_LARGE",
    `the body is larger than the ${bodyBytesMax} bytes that are accepted`,
  );
}
