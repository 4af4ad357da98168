// Who runs a command, for records and log lines.
import { userInfo } from "node:os";

/** Null: the system has no name for who runs this. */
export function userName(): string | null {
  try {
    return userInfo().username;
  } catch {
    // A container's user often is a number alone.
    return null;
  }
}
