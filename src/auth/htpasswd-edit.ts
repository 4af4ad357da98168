// Changes an htpasswd file: whole or not at all, durable, with the owner and the rights that it had. One
// change at a time: the new file beside it is also the lock.
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { passwordBytesMax, parseHtpasswd, withEntry } from "./htpasswd.ts";

/** Some 60 ms of work a login here; what Go's and most htpasswd's users have. */
const bcryptCostOfNew = 10;

export class HtpasswdError extends Error {
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.name = "HtpasswdError";
  }
}

/** @throws HtpasswdError */
export function checkUserName(user: string): void {
  // "*" is everybody in rules, who is not logged in.
  if (user !== "" && user !== "*" && user.length <= 255 && !/[:\s#\p{Cc}]/u.test(user)) return;
  throw new HtpasswdError(
    `${JSON.stringify(user.slice(0, 80))} is no name of a user; expected no colons, spaces, control characters or #, and not "*"`,
  );
}

/** Adds the user, or changes their password. Returns whether they are new. @throws HtpasswdError */
export async function addUser(path: string, user: string, password: string): Promise<boolean> {
  checkUserName(user);
  const sizeBytes = Buffer.byteLength(password);
  if (sizeBytes === 0) throw new HtpasswdError("the password is empty");
  if (sizeBytes > passwordBytesMax || password.includes("\0")) {
    throw new HtpasswdError(
      `the password has ${sizeBytes} bytes; bcrypt takes at most ${passwordBytesMax}, none of them NUL`,
    );
  }
  const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: bcryptCostOfNew });
  let isNew = false;
  change(path, (text) => {
    isNew = !parseHtpasswd(text).hashes.has(user);
    return withEntry(text, user, hash.replace(/^\$2b\$/, "$2y$"));
  });
  return isNew;
}

/** Whether there was such a user. @throws HtpasswdError */
export function removeUser(path: string, user: string): boolean {
  let was = false;
  change(path, (text) => {
    const rest = withEntry(text, user, null);
    was = rest !== withEntry(text, "", null);
    return rest;
  });
  return was;
}

/** @throws HtpasswdError */
export function readHtpasswd(path: string): ReturnType<typeof parseHtpasswd> {
  try {
    return parseHtpasswd(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new HtpasswdError(`cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

function change(path: string, edit: (text: string) => string): void {
  const target = resolved(path);
  const written = `${target}.new`;
  const { O_CREAT, O_EXCL, O_WRONLY } = constants;
  let file: number;
  try {
    file = openSync(written, O_CREAT | O_EXCL | O_WRONLY, 0o600);
  } catch (cause) {
    const isTaken = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    throw new HtpasswdError(
      isTaken
        ? `${written} is there: another change is under way; if none is, remove that file`
        : `cannot write beside ${target}: ${messageOf(cause)}`,
      { cause },
    );
  }
  try {
    // Only now: nobody else changes it between this and the end.
    const before = existing(target);
    writeSync(file, edit(before?.text ?? ""));
    if (before !== null) {
      fchmodSync(file, before.mode);
      keepOwner(file, before);
    }
    fsyncSync(file);
    renameSync(written, target);
    syncDirectory(dirname(target));
  } catch (cause) {
    rmSync(written, { force: true });
    throw new HtpasswdError(`cannot change ${target}: ${messageOf(cause)}`, { cause });
  } finally {
    closeSync(file);
  }
}

/** What a link points to is changed, not the link. */
function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It is not there yet, and is to be made.
    return path;
  }
}

interface Existing {
  readonly text: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

function existing(path: string): Existing | null {
  try {
    const { mode, uid, gid } = statSync(path);
    return { text: readFileSync(path, "utf8"), mode: mode & 0o777, uid, gid };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

function keepOwner(file: number, { uid, gid }: Existing): void {
  try {
    fchownSync(file, uid, gid);
  } catch {
    // Only root may give a file away; who may write here but is not its owner keeps it.
  }
}

function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
