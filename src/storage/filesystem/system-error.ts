// Turns the system's errors into the port's, and asks what they were. Never hides the cause.
import { StorageError, type StorageErrorCode } from "../../registry/ports/storage.ts";

const codes: Readonly<Record<string, StorageErrorCode>> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EFBIG: "full",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "denied",
  // No descriptor is left: of the process, or of the machine.
  EMFILE: "busy",
  ENFILE: "busy",
  ENAMETOOLONG: "invalid-path",
};

/** The system's code of an error ("ENOENT"), or null. */
export function systemCode(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}

/** Nothing is at the path: neither the name, nor perhaps the directories on the way to it. */
export function isAbsent(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

export function isNoEntry(error: unknown): boolean {
  return systemCode(error) === "ENOENT";
}

/** `what` was tried, e.g. `cannot write /a/b`. A StorageError passes as it is. */
export function toStorageError(what: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const code = codes[systemCode(error) ?? ""] ?? "io";
  const reason = error instanceof Error ? error.message : String(error);
  return new StorageError(code, `${what}: ${reason}`, { cause: error });
}
