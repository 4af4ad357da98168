// What a handler answers, and the one place where it becomes a Response: headers that every answer
// carries, HEAD without a body, lengths.
import type { BlobBody } from "../registry/ports/storage.ts";

export type HeaderFields = Readonly<Record<string, string>>;

export interface Reply {
  readonly status: number;
  /** Names in the usual casing ("Content-Type"), so that they replace configured ones. */
  readonly headers: HeaderFields;
  readonly body: BlobBody | Uint8Array | string | null;
  /** Length of the body; null where it is streamed and nobody knows. */
  readonly sizeBytes: number | null;
}

export const jsonType = "application/json; charset=utf-8";

export function emptyReply(status: number, headers: HeaderFields = {}): Reply {
  return { status, headers, body: null, sizeBytes: 0 };
}

export function jsonReply(status: number, value: unknown, headers: HeaderFields = {}): Reply {
  const body = JSON.stringify(value);
  return textReply(status, body, { "Content-Type": jsonType, ...headers });
}

export function textReply(status: number, body: string, headers: HeaderFields): Reply {
  return { status, headers, body, sizeBytes: Buffer.byteLength(body) };
}

/** The headers that every answer carries: the API version and what `http.headers` adds. */
export function commonHeaders(
  configured: Readonly<Record<string, readonly string[]>>,
): HeaderFields {
  const headers: Record<string, string> = { "Docker-Distribution-Api-Version": "registry/2.0" };
  for (const [name, values] of Object.entries(configured)) {
    headers[usualCasing(name)] = values.join(", ");
  }
  return headers;
}

function usualCasing(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

/** Bytes of the body that goes out; 0 where the length is not known beforehand. */
export function writtenBytesOf(method: string, { sizeBytes }: Reply): number {
  return method === "HEAD" || sizeBytes === null ? 0 : sizeBytes;
}

/** To whom is answered. */
export interface Asked {
  readonly method: string;
  /** Sent back, so that both sides can name the request. */
  readonly requestId?: string;
}

export function toResponse(reply: Reply, asked: Asked, common: HeaderFields): Response {
  const { status, body } = reply;
  const headers: Record<string, string> = { ...common, ...reply.headers };
  if (asked.requestId !== undefined) headers["X-Request-Id"] = asked.requestId;
  if (asked.method !== "HEAD") return new Response(body, { status, headers });
  if (reply.sizeBytes !== null && status !== 204 && status !== 304) {
    headers["Content-Length"] = String(reply.sizeBytes);
  }
  // Of a length that nobody knows the runtime would say that it is 0.
  if (reply.sizeBytes === null) headers["Transfer-Encoding"] = "chunked";
  // The runtime leaves Date out of answers to HEAD.
  headers["Date"] = new Date().toUTCString();
  return new Response(null, { status, headers });
}
