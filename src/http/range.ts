// Reads the Range header of a download and the Content-Range header of a chunk.
// Source: RFC 9110 §14; distribution-spec, "Pushing a blob in chunks" for the form `<start>-<end>`.
import { RangeInvalidError } from "../oci/index.ts";

/** [start, end) */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The one range that is asked for; "whole" where the header is to be ignored (none, another unit,
 * several ranges, malformed); "unsatisfiable" where nothing of the blob lies within it.
 */
export function parseRange(
  header: string | null,
  sizeBytes: number,
): ByteRange | "whole" | "unsatisfiable" {
  if (header === null) return "whole";
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header);
  if (match === null) return "whole";
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return "whole";
  if (first === "") {
    const suffix = Number(last);
    if (suffix === 0 || sizeBytes === 0) return "unsatisfiable";
    return { start: Math.max(0, sizeBytes - suffix), end: sizeBytes };
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  // A range that ends before it begins is malformed by RFC 9110, but what the classic registry and
  // the conformance suite expect is a refusal.
  return start >= sizeBytes || end <= start ? "unsatisfiable" : { start, end };
}

/**
 * The Content-Range of a chunk; null when there is none. The form of RFC 9110 is understood too.
 * @throws RangeInvalidError
 */
export function parseContentRange(header: string | null): ByteRange | null {
  if (header === null) return null;
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim());
  const start = Number(match?.[1]);
  const end = Number(match?.[2]) + 1;
  if (match === null || end <= start) {
    throw new RangeInvalidError(
      `Content-Range "${header.slice(0, 100)}" is not a range; expected <first byte>-<last byte>`,
    );
  }
  return { start, end };
}

/** The Range header that says how much of an upload is there. An empty one is "0-0", as ever. */
export function uploadRange(sizeBytes: number): string {
  return `0-${Math.max(0, sizeBytes - 1)}`;
}
