// Reads the Authorization header. What is malformed counts as not being there, as in the classic
// registry. Source: RFC 7617, RFC 6750.
import type { Credentials } from "../registry/ports/access.ts";

const none: Credentials = { kind: "none" };

export function credentialsOf(header: string | null): Credentials {
  if (header === null) return none;
  const space = header.indexOf(" ");
  if (space === -1) return none;
  const scheme = header.slice(0, space).toLowerCase();
  const value = header.slice(space + 1).trim();
  if (scheme === "bearer") return value === "" ? none : { kind: "bearer", token: value };
  return scheme === "basic" ? basicCredentials(value) : none;
}

function basicCredentials(value: string): Credentials {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) return none;
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon <= 0) return none;
  return { kind: "basic", user: text.slice(0, colon), password: text.slice(colon + 1) };
}
