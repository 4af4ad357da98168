// Makes the root directory where it is missing, and says in the configuration's words why it cannot be used.
import { accessSync, constants, mkdirSync } from "node:fs";

/** @throws Error naming the configuration key and the directory. */
export function makeRootDirectory(rootDirectory: string): void {
  try {
    mkdirSync(rootDirectory, { recursive: true });
    accessSync(rootDirectory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `storage.filesystem.rootdirectory: ${rootDirectory} cannot be used; expected a directory that this user may write to: ${reason}`,
      { cause },
    );
  }
}
