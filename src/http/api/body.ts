// Reads the JSON body of a request, bounded in size and time. An empty one counts as {}.
import { readWithin, smallBodyMsMax } from "../bounded-body.ts";
import { contentLength } from "../request-body.ts";
import { ApiError } from "./api-error.ts";

const bodyBytesMax = 64 * 1024;

/** @throws ApiError */
export async function readJsonBody(request: Request, msMax = smallBodyMsMax): Promise<unknown> {
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
  const bytes = await readWithin(request.body, {
    bytesMax: bodyBytesMax,
    msMax,
    tooLarge,
    tooSlow: () => tooSlow(msMax),
  });
  if (bytes.byteLength === 0) return {};
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The parser's words are about positions in a text that the client knows better.
    throw new ApiError("INVALID_BODY", "the body is not JSON in UTF-8");
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
