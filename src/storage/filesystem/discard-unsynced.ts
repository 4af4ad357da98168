// Gets rid of a file whose bytes were never made durable. Never throws: it follows another failure,
// which is what the caller is told.
import type { FileSystemCalls } from "./file-system-calls.ts";

/**
 * After a failed fsync the kernel may have dropped the bytes, and a second fsync would succeed all the
 * same. So the file goes, and whoever sent it sends it again. Temporary files go after any failure.
 */
export async function discardUnsynced(calls: FileSystemCalls, absolutePath: string): Promise<void> {
  try {
    await calls.unlink(absolutePath);
  } catch {
    // Absent already, or on a disk that has stopped taking changes: then the first failure tells why.
  }
}
