// The paths of the API. A repository's name holds slashes, as they are or encoded, whichever a proxy leaves of
// them: it ends at the part "-", which no name can hold, or at the end of the path. So
// /repositories/a/b/tags/c is the repository a/b/tags/c, and /repositories/a/b/-/tags/c the tag c of a/b.
import { ApiError } from "./api-error.ts";

const nameStart = "repositories/";

/** @param path below the API, without its first slash. @throws ApiError */
export function segmentsOf(path: string): readonly string[] {
  if (!path.startsWith(nameStart)) return path.split("/").map(decoded);
  const below = path.slice(nameStart.length);
  const end = below.indexOf("/-/");
  if (end === -1) return ["repositories", decoded(below)];
  const rest = below.slice(end + 1).split("/");
  return ["repositories", decoded(below.slice(0, end)), ...rest.map(decoded)];
}

function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // Said as what it is: whoever asked has encoded it wrongly.
    throw new ApiError("INVALID_PATH", "the path is not valid percent-encoded UTF-8");
  }
}

/** A path with names in braces, such as /repositories/{name}/-/tags, divided. */
export type Template = readonly string[];

export function templateOf(path: string): Template {
  return path.slice(1).split("/");
}

/** What stands for the names in braces; null: another path. */
export function matchOf(
  template: Template,
  segments: readonly string[],
): Readonly<Record<string, string>> | null {
  if (template.length !== segments.length) return null;
  const values: Record<string, string> = {};
  for (const [n, part] of template.entries()) {
    const segment = segments[n] ?? "";
    // An empty name is told apart where names are read.
    if (part.startsWith("{") && (segment !== "" || part === "{name}")) {
      values[part.slice(1, -1)] = segment;
    } else if (part !== segment) return null;
  }
  return values;
}
