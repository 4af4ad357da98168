// The text of an htpasswd file: one `user:hash` a line. Only bcrypt counts, as in the classic registry.
// Pure. Source: Apache httpd, "htpasswd"; the classic's registry/auth/htpasswd.

export interface HtpasswdEntries {
  readonly hashes: ReadonlyMap<string, string>;
  /** Numbers of lines, from 1, that nobody can log in with. */
  readonly unusableLines: readonly number[];
}

/** bcrypt truncates what is longer, and so do htpasswd and the classic. */
export const passwordBytesMax = 72;

/** One check at this cost takes a second; beyond, a single login would hold up everybody's. */
const costMax = 16;

/** The last letters of salt and hash hold bits that are left over; where they are not zero, checking fails. */
const bcryptPattern =
  /^\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]$/;

/** Null: not a bcrypt hash that is accepted. */
export function bcryptCost(hash: string): number | null {
  const cost = Number(bcryptPattern.exec(hash)?.[1] ?? Number.NaN);
  return cost >= 4 && cost <= costMax ? cost : null;
}

export function parseHtpasswd(text: string): HtpasswdEntries {
  const hashes = new Map<string, string>();
  const unusableLines: number[] = [];
  for (const [at, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const entry = splitEntry(line);
    if (entry === null || bcryptCost(entry.hash) === null) unusableLines.push(at + 1);
    else hashes.set(entry.user, entry.hash);
  }
  return { hashes, unusableLines };
}

function splitEntry(line: string): { readonly user: string; readonly hash: string } | null {
  const colon = line.indexOf(":");
  return colon <= 0 ? null : { user: line.slice(0, colon), hash: line.slice(colon + 1) };
}

/** The user's line replaced, or put at the end; `hash` null: taken out. Every other line stays as it is. */
export function withEntry(text: string, user: string, hash: string | null): string {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const kept: string[] = [];
  let isPlaced = hash === null;
  for (const line of lines) {
    if (splitEntry(line.trim())?.user !== user || line.trim().startsWith("#")) kept.push(line);
    else if (!isPlaced) {
      isPlaced = true;
      kept.push(`${user}:${hash ?? ""}`);
    }
  }
  if (!isPlaced) kept.push(`${user}:${hash ?? ""}`);
  return kept.length === 0 ? "" : `${kept.join("\n")}\n`;
}
