// Which limit something was refused for, so that metrics can tell.
import {
  BlobTooLargeError,
  type LimitName,
  ManifestTooLargeError,
  TooManyRequestsError,
} from "../../oci/index.ts";
import { HttpError } from "../http-error.ts";

/** Null: for none. */
export function limitOf(error: unknown): LimitName | null {
  if (error instanceof TooManyRequestsError) return error.limit;
  if (error instanceof HttpError) return error.limit;
  if (error instanceof BlobTooLargeError) return "blobsize";
  return error instanceof ManifestTooLargeError ? "manifestsize" : null;
}
