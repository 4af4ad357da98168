// The table of rooms in ARCHITECTURE.md is the one that the linter holds the code to.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { allowed } from "../scripts/oxlint-plimsoll.mjs";

interface Row {
  readonly room: string;
  readonly imports: readonly string[];
}

/** `| room | what for | may import |`; "types of" is for all that follows in its part. */
function rowOf(line: string): Row | null {
  const [, room, imports] = /^\| `([\w.-]+)\/?` \| .* \| ([^|]*) \|$/.exec(line) ?? [];
  if (room === undefined || imports === undefined) return null;
  if (imports === "everything") return { room: `src/${room}`, imports: ["src"] };
  const places = imports.split("; ").flatMap((part) => {
    const kind = part.startsWith("types of") ? "type src/" : "src/";
    return [...part.matchAll(/`([^`]+)`/g)].map(([, place = ""]) => kind + place);
  });
  return { room: `src/${room}`, imports: places.toSorted() };
}

test("ARCHITECTURE.md and the linter have the same table of who may import whom", () => {
  const text = readFileSync(new URL("../ARCHITECTURE.md", import.meta.url), "utf8");
  const [, section = ""] = /\n## Rooms\n([\s\S]*?)\n## /.exec(text) ?? [];
  const written = section
    .split("\n")
    .map(rowOf)
    .filter((row) => row !== null);
  const linted = Object.entries(allowed)
    .filter(([room]) => room.startsWith("src/"))
    .map(([room, imports]) => ({ room, imports: imports.toSorted() }));
  const byRoom = (a: Row, b: Row): number => a.room.localeCompare(b.room);
  expect(written.toSorted(byRoom)).toEqual(linted.toSorted(byRoom));
});
