// Who runs a command, for records and log lines: whom the process belongs to, whatever its variables say.
import { readFileSync } from "node:fs";

/** Null: the system does not tell. `os.userInfo` is no help: here it repeats the variable USER. */
export function userName(
  uid: number | undefined = process.getuid?.(),
  readAccounts: () => string = () => readFileSync("/etc/passwd", "utf8"),
): string | null {
  if (uid === undefined) return null;
  // A container's user often is a number alone.
  return accountOf(uid, readAccounts) ?? `uid ${uid}`;
}

function accountOf(uid: number, readAccounts: () => string): string | null {
  try {
    const accounts = readAccounts()
      .split("\n")
      .map((line) => line.split(":"));
    const [name = ""] = accounts.find((fields) => fields[2] === String(uid)) ?? [];
    return /^[\w.-]{1,64}$/.test(name) ? name : null;
  } catch {
    // An image need not have the file.
    return null;
  }
}
