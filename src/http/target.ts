// Takes the path and the query out of a request's URL, and values out of the query. Everything that
// is decided about a request (route, permission, answer) uses this one result. The runtime resolves
// dot segments before anybody sees them, and hands over a bare "/path" when the Host header is
// missing or malformed, so `new URL` is of no use here.

export interface Target {
  readonly path: string;
  /** Raw, without the "?". */
  readonly query: string;
}

export function splitTarget(url: string): Target {
  const start =
    url.charCodeAt(0) === 47 ? 0 : Math.max(0, url.indexOf("/", url.indexOf("://") + 3));
  let end = url.indexOf("#", start);
  if (end === -1) end = url.length;
  const question = url.indexOf("?", start);
  if (question === -1 || question > end) return { path: url.slice(start, end), query: "" };
  return { path: url.slice(start, question), query: url.slice(question + 1, end) };
}

/** The first value of a parameter, decoded; null when it is not there. */
export function queryValue(query: string, name: string): string | null {
  return query === "" ? null : new URLSearchParams(query).get(name);
}

export function queryValues(query: string, name: string): string[] {
  return query === "" ? [] : new URLSearchParams(query).getAll(name);
}
