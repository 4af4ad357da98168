// Writes the URLs of Location and Link headers: relative or absolute, as the client reaches the
// registry. Order of what is believed, as in the classic registry: http.relativeurls, http.host,
// the Forwarded header, X-Forwarded-Proto and -Host, the Host header. Malformed ones are not
// believed; whoever else sends them gets a wrong address in the answer to a request of their own.
import type { Digest, Reference, RepositoryName } from "../oci/index.ts";
import type { HttpOptions } from "./options.ts";

const hostPattern = /^(?:[a-zA-Z0-9._-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?$/;

export class Locations {
  readonly #options: Pick<HttpOptions, "prefix" | "host" | "relativeUrls">;
  /** Where below the host a proxy has the registry, which it takes off what it passes on; usually "". */
  readonly #hostPath: string;

  constructor(options: Pick<HttpOptions, "prefix" | "host" | "relativeUrls">) {
    this.#options = options;
    const { host, relativeUrls } = options;
    const path = host === null || relativeUrls ? "" : new URL(host).pathname;
    this.#hostPath = path.replace(/\/+$/, "");
  }

  /** A path of the registry's own, as the client has to ask for it: for links to further pages. */
  path(path: string): string {
    return this.#hostPath + path;
  }

  manifest(request: Request, repository: RepositoryName, reference: Reference): string {
    return `${this.base(request)}${repository}/manifests/${reference}`;
  }

  blob(request: Request, repository: RepositoryName, digest: Digest): string {
    return `${this.base(request)}${repository}/blobs/${digest}`;
  }

  upload(request: Request, repository: RepositoryName, id: string): string {
    return `${this.base(request)}${repository}/blobs/uploads/${id}`;
  }

  /** An address below the prefix, always absolute where the client names a usable host. */
  absolute(request: Request, path: string): string {
    const { host, prefix } = this.#options;
    const below = prefix.slice(0, -1) + path;
    if (host !== null) return host.replace(/\/+$/, "") + below;
    return (reachedAs(request) ?? "") + below;
  }

  /** Up to and including "v2/". */
  base(request: Request): string {
    const { host, prefix, relativeUrls } = this.#options;
    const path = `${prefix}v2/`;
    if (relativeUrls) return path;
    if (host !== null) return host.replace(/\/+$/, "") + path;
    const reached = reachedAs(request);
    return reached === null ? path : `${reached}${path}`;
  }
}

/** "scheme://host", or null when the client names no usable host. */
function reachedAs(request: Request): string | null {
  const { headers } = request;
  let scheme = request.url.startsWith("https:") ? "https" : "http";
  let host = headers.get("host") ?? "";
  const forwarded = headers.get("forwarded");
  const proto =
    forwarded === null ? headers.get("x-forwarded-proto") : forwardedField(forwarded, "proto");
  const forwardedHost =
    forwarded === null ? headers.get("x-forwarded-host") : forwardedField(forwarded, "host");
  const firstProto = firstOf(proto).toLowerCase();
  if (firstProto === "http" || firstProto === "https") scheme = firstProto;
  const firstHost = firstOf(forwardedHost);
  if (hostPattern.test(firstHost)) host = firstHost;
  return hostPattern.test(host) ? `${scheme}://${host}` : null;
}

function firstOf(list: string | null): string {
  return list === null ? "" : (list.split(",", 1)[0] ?? "").trim();
}

/** A field of the first element of a Forwarded header (RFC 7239). */
function forwardedField(header: string, name: string): string | null {
  for (const pair of firstOf(header).split(";")) {
    const equals = pair.indexOf("=");
    if (equals === -1 || pair.slice(0, equals).trim().toLowerCase() !== name) continue;
    return pair
      .slice(equals + 1)
      .trim()
      .replace(/^"(.*)"$/, "$1");
  }
  return null;
}
