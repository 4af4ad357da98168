// Parses the path of a request: which endpoint, which repository, which reference. A parser of its
// own because repository names hold slashes; it looks from the end, so a name may hold the words
// "blobs", "manifests" or "tags" too. Never answers garbage with a server error. Endpoints:
// docs/http-api.md.
import {
  ManifestUnknownError,
  NameInvalidError,
  type Reference,
  type RepositoryName,
  isTag,
  parseDigest,
  parseRepositoryName,
} from "../oci/index.ts";

export interface ManifestRoute {
  readonly kind: "manifest";
  readonly repository: RepositoryName;
  /** Not yet parsed: what a malformed one means depends on the method. */
  readonly reference: string;
}
export interface DigestRoute {
  readonly kind: "blob" | "referrers";
  readonly repository: RepositoryName;
  /** Not yet parsed. */
  readonly digest: string;
}
export interface RepositoryRoute {
  readonly kind: "tags" | "uploads";
  readonly repository: RepositoryName;
}
export interface UploadRoute {
  readonly kind: "upload";
  readonly repository: RepositoryName;
  readonly id: string;
}
export interface PlainRoute {
  readonly kind: "root" | "base" | "catalog" | "none";
}

export type Route = ManifestRoute | DigestRoute | RepositoryRoute | UploadRoute | PlainRoute;

const none: PlainRoute = { kind: "none" };

/**
 * @param prefix begins and ends with "/".
 * @throws NameInvalidError for a malformed repository name or path.
 */
export function parseRoute(rawPath: string, prefix: string): Route {
  const path = rawPath.includes("%") ? decodePath(rawPath) : rawPath;
  if (path === "/") return { kind: "root" };
  if (!path.startsWith(prefix)) return path === prefix.slice(0, -1) ? { kind: "root" } : none;
  const rest = path.slice(prefix.length);
  if (rest === "v2" || rest === "v2/") return { kind: "base" };
  if (!rest.startsWith("v2/")) return none;
  return parseV2(rest.slice(3));
}

function parseV2(path: string): Route {
  if (path === "_catalog") return { kind: "catalog" };
  refuseDotSegments(path);
  const slash = path.lastIndexOf("/");
  if (slash === -1) return none;
  const last = path.slice(slash + 1);
  const before = path.slice(0, slash);
  if (before.endsWith("/manifests")) {
    return { kind: "manifest", repository: nameIn(before, "/manifests"), reference: last };
  }
  if (before.endsWith("/blobs/uploads")) {
    const repository = nameIn(before, "/blobs/uploads");
    return last === "" ? { kind: "uploads", repository } : { kind: "upload", repository, id: last };
  }
  if (before.endsWith("/blobs")) {
    const repository = nameIn(before, "/blobs");
    // Some clients leave the last slash of ".../blobs/uploads/" out.
    return last === "uploads"
      ? { kind: "uploads", repository }
      : { kind: "blob", repository, digest: last };
  }
  if (last === "list" && before.endsWith("/tags")) {
    return { kind: "tags", repository: nameIn(before, "/tags") };
  }
  if (before.endsWith("/referrers")) {
    return { kind: "referrers", repository: nameIn(before, "/referrers"), digest: last };
  }
  return none;
}

function nameIn(path: string, suffix: string): RepositoryName {
  return parseRepositoryName(path.slice(0, -suffix.length));
}

/**
 * Clients may encode a colon ("sha256%3A…"); what would change the path's structure once decoded is
 * refused, so that nobody in front of this server can have understood another path than it does.
 */
function decodePath(path: string): string {
  if (/%(?:2f|5c|00)/i.test(path)) {
    throw new NameInvalidError("the path holds an encoded slash, backslash or NUL");
  }
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    throw new NameInvalidError("the path is not valid percent-encoded UTF-8", { cause });
  }
}

function refuseDotSegments(path: string): void {
  if (!path.includes("/.") && !path.startsWith(".")) return;
  if (path.split("/").some((segment) => segment === "." || segment === "..")) {
    throw new NameInvalidError('the path holds a "." or ".." segment');
  }
}

/**
 * A reference to something that is to be looked up: a malformed tag cannot be there.
 * @throws DigestInvalidError, ManifestUnknownError
 */
export function parseKnownReference(text: string): Reference {
  if (text.includes(":")) return parseDigest(text);
  if (isTag(text)) return text;
  throw new ManifestUnknownError(
    `"${text.slice(0, 160)}" is not a tag, so there is no such manifest`,
  );
}
