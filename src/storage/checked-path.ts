// Refuses paths that could lead out of the root or that mean different things to different drivers.
// Every driver passes every path through here first; nothing else guards against traversal.
import { StorageError } from "../registry/ports/storage.ts";

const pathPattern = /^(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/;
/** What common file systems allow for one name, in bytes; kept for every driver, so that all agree. */
const nameBytesMax = 255;

/**
 * The path itself, when it begins with "/", has no empty, "." or ".." part and no NUL. "/" is the root.
 * @throws StorageError invalid-path
 */
export function checkedPath(path: string): string {
  if (path !== "/" && !pathPattern.test(path)) {
    throw new StorageError(
      "invalid-path",
      `${JSON.stringify(path.slice(0, 300))} is not a path in the storage; expected "/" and names without "." or ".." or NUL`,
    );
  }
  if (path.length > nameBytesMax / 3 && path.split("/").some(isTooLong)) {
    throw new StorageError(
      "invalid-path",
      `a name in ${JSON.stringify(path.slice(0, 300))} is longer than ${nameBytesMax} bytes`,
    );
  }
  return path;
}

/** As checkedPath, and not the root itself: for what writes or removes. @throws StorageError */
export function checkedEntryPath(path: string): string {
  if (path === "/") throw new StorageError("invalid-path", "the root itself cannot be changed");
  return checkedPath(path);
}

/** Both are paths, and the first is the second or below it. @throws StorageError invalid-path */
export function checkBelow(path: string, ancestor: string): void {
  const below = checkedPath(ancestor) === "/" ? "/" : `${ancestor}/`;
  if (checkedPath(path) === ancestor || path.startsWith(below)) return;
  throw new StorageError("invalid-path", `${path} is not below ${ancestor}`);
}

function isTooLong(name: string): boolean {
  // A character takes at most three bytes, so short names need no counting.
  return name.length > nameBytesMax / 3 && Buffer.byteLength(name) > nameBytesMax;
}

/** The directory that holds the path. */
export function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end <= 0 ? "/" : path.slice(0, end);
}
