// Lists a directory. Symbolic links are reported as what they point to; names that are not UTF-8 as
// "other", escaped, since no path of ours could name them (INV-7). Never follows a name further down.
// Holds the names of one directory at a time: the runtime reads a directory as a whole.
import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import type { DirectoryEntry } from "../../registry/ports/storage.ts";
import { isAbsent, systemCode } from "./system-error.ts";

/** What a decoder puts in place of bytes that are not UTF-8; also a character of its own. */
const replacement = "\uFFFD";

/** @throws the system's error when the directory, or a link's target, cannot be looked at */
export async function* listDirectory(absolutePath: string): AsyncGenerator<DirectoryEntry> {
  const entries = await readEntries(absolutePath);
  if (entries === null) return;
  let undecodable = false;
  for (const entry of entries) {
    if (entry.name.includes(replacement)) undecodable = true;
    else yield { name: entry.name, kind: await kindOf(entry, absolutePath) };
  }
  if (undecodable) yield* listUndecodable(absolutePath, entries);
}

async function readEntries(absolutePath: string): Promise<Dirent[] | null> {
  try {
    return await readdir(absolutePath, { withFileTypes: true });
  } catch (error) {
    // A file in the place of a directory has no names in it either.
    if (isAbsent(error)) return null;
    throw error;
  }
}

async function kindOf(entry: Dirent, directory: string): Promise<DirectoryEntry["kind"]> {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "directory";
  try {
    const target = await stat(`${directory}/${entry.name}`);
    if (target.isFile()) return "file";
    return target.isDirectory() ? "directory" : "other";
  } catch (error) {
    // A link to nothing, or to itself.
    if (isAbsent(error) || systemCode(error) === "ELOOP") return "other";
    throw error;
  }
}

/** The names with a replacement character, read again as bytes. */
async function* listUndecodable(
  absolutePath: string,
  entries: readonly Dirent[],
): AsyncGenerator<DirectoryEntry> {
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  for (const bytes of await readdir(absolutePath, { encoding: "buffer" })) {
    const name = bytes.toString();
    if (!name.includes(replacement)) continue;
    if (!Buffer.from(name).equals(bytes)) {
      yield { name: escaped(bytes), kind: "other" };
      continue;
    }
    const entry = byName.get(name);
    if (entry !== undefined) yield { name, kind: await kindOf(entry, absolutePath) };
  }
}

/** Printable ASCII as it is, everything else as \xff. */
function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");
}
