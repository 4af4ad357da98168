// A command started as root becomes the owner of the root directory's files before it opens anything, so
// that it leaves nothing behind that the server may not write (design §5).
import { statSync } from "node:fs";

/** Changes this process's user and group to the directory's. Nothing for a directory that is not there. */
export function becomeDirectoryOwner(directory: string): void {
  if (process.getuid?.() !== 0) return;
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found === undefined || found.uid === 0) return;
  process.setgid?.(found.gid);
  process.setuid?.(found.uid);
}
