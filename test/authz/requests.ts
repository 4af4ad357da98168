// Every request there is, with what each needs by docs/access.md: the endpoints under /v2/ by route and method,
// and what stands outside of the tables. Those of the API are in api-requests.ts.
import { type Content, digestOf, manifestText, manifestType } from "./content.ts";
import type { Action, Needs } from "./oracle.ts";

export interface Sent {
  readonly path: string;
  readonly init: RequestInit;
}

export interface Asked {
  /** Tells requests apart, and is the same for a repository that is not there. */
  readonly id: string;
  readonly method: string;
  readonly needs: Needs;
  readonly isApi: boolean;
  /** By whom the request is refused: it is aimed at what is there. */
  readonly real: Sent;
  /** By whom it is let in: changes nothing; absent: nor does the real one. */
  readonly harmless?: Sent;
  /** What whoever is let in is answered. */
  readonly statuses: readonly number[];
}

interface Line {
  readonly method: string;
  readonly path: string;
  readonly statuses: number | readonly number[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** In place of `path` and `body`. */
  readonly harmless?: { readonly path: string; readonly body?: string };
  readonly note?: string;
}

const absentDigest = `sha256:${"f".repeat(64)}`;
const absentUpload = "ffffffff-ffff-4fff-8fff-ffffffffffff";

/** By kind of route, as the code's table names them (src/http/v2/index.ts). */
export type RouteKind =
  "manifest" | "blob" | "upload" | "uploads" | "tags" | "referrers" | "catalog" | "base" | "root";

export function repositoryRequests(
  content: Content,
): Readonly<Record<Exclude<RouteKind, "catalog" | "base" | "root">, readonly Asked[]>> {
  return {
    manifest: asksOf(content, "manifest", manifestLines(content)),
    blob: asksOf(content, "blob", blobLines(content)),
    upload: asksOf(content, "upload", uploadLines(content)),
    uploads: asksOf(content, "uploads", uploadsLines(content)),
    tags: asksOf(content, "tags", tagsLines()),
    referrers: asksOf(content, "referrers", referrersLines(content)),
  };
}

const readsNeed: readonly Action[] = ["pull"];
const writesNeed: readonly Action[] = ["pull", "push"];

function actionsFor(kind: RouteKind, method: string): readonly Action[] | null {
  if (kind === "upload" || kind === "uploads") return writesNeed;
  if (method === "GET" || method === "HEAD") return readsNeed;
  if (method === "DELETE") return ["delete"];
  return method === "OPTIONS" ? null : writesNeed;
}

function asksOf({ repository }: Content, kind: RouteKind, lines: readonly Line[]): Asked[] {
  return lines.map((line, at) => {
    const { method, headers = {}, body, harmless, statuses, note = "" } = line;
    const actions = actionsFor(kind, method);
    const sent = (what: { readonly path: string; readonly body?: string | undefined }): Sent => ({
      path: `/v2/${repository}/${what.path}`,
      init: { method, headers, body: what.body ?? null },
    });
    return {
      id: `${kind} ${at} ${note}`,
      method,
      needs: actions === null ? { kind: "login" } : { kind: "repository", repository, actions },
      isApi: false,
      real: sent({ path: line.path, body }),
      ...(harmless === undefined ? {} : { harmless: sent({ body, ...harmless }) }),
      statuses: typeof statuses === "number" ? [statuses] : statuses,
    };
  });
}

function manifestLines({ image, imageText, otherText }: Content): readonly Line[] {
  const byTag = "manifests/v1";
  const byDigest = `manifests/${image}`;
  const matching = { "If-None-Match": `"${image}"` };
  const typed = { "Content-Type": manifestType };
  return [
    { method: "GET", path: byTag, statuses: 200 },
    { method: "GET", path: byDigest, statuses: 200 },
    { method: "GET", path: "manifests/absent", statuses: 404 },
    { method: "GET", path: byTag, headers: matching, statuses: 304, note: "If-None-Match" },
    { method: "GET", path: byTag, headers: { "If-None-Match": "*" }, statuses: 304, note: "*" },
    { method: "HEAD", path: byTag, statuses: 200 },
    { method: "HEAD", path: byDigest, statuses: 200 },
    { method: "HEAD", path: byDigest, headers: matching, statuses: 304, note: "If-None-Match" },
    { method: "HEAD", path: `manifests/${absentDigest}`, statuses: 404 },
    {
      method: "PUT",
      path: byTag,
      headers: typed,
      body: otherText,
      harmless: { path: byTag, body: imageText },
      statuses: 201,
    },
    {
      method: "PUT",
      path: `manifests/${digestOf(otherText)}?tag=v1`,
      headers: typed,
      body: otherText,
      harmless: { path: `manifests/${digestOf(imageText)}?tag=v1&tag=pushed`, body: imageText },
      statuses: 201,
      note: "with tags",
    },
    {
      method: "PUT",
      path: "manifests/other",
      headers: typed,
      body: manifestText({ config: absentDigest, layers: [] }),
      statuses: [400, 404],
      note: "what it names is not here",
    },
    { method: "DELETE", path: byTag, harmless: { path: "manifests/absent" }, statuses: 404 },
    {
      method: "DELETE",
      path: byDigest,
      harmless: { path: `manifests/${absentDigest}` },
      statuses: 404,
    },
    { method: "OPTIONS", path: byTag, statuses: 200 },
    { method: "POST", path: byTag, statuses: 405 },
    { method: "PATCH", path: byTag, statuses: 405 },
  ];
}

function blobLines({ layer, loose }: Content): readonly Line[] {
  const path = `blobs/${layer}`;
  const absent = `blobs/${absentDigest}`;
  const matching = { "If-None-Match": `"${layer}"` };
  return [
    { method: "GET", path, statuses: 200 },
    { method: "GET", path: absent, statuses: 404 },
    { method: "GET", path, headers: { Range: "bytes=0-3" }, statuses: 206, note: "Range" },
    { method: "GET", path, headers: { Range: "bytes=900-" }, statuses: 416, note: "no such range" },
    {
      method: "GET",
      path,
      headers: { Range: "bytes=0-3", "If-Range": `"${layer}"` },
      statuses: 206,
      note: "If-Range",
    },
    { method: "GET", path, headers: matching, statuses: 304, note: "If-None-Match" },
    { method: "HEAD", path, statuses: 200 },
    { method: "HEAD", path, headers: matching, statuses: 304, note: "If-None-Match" },
    { method: "HEAD", path, headers: { "If-None-Match": "*" }, statuses: 304, note: "*" },
    { method: "HEAD", path: absent, statuses: 404 },
    { method: "DELETE", path: `blobs/${loose}`, harmless: { path: absent }, statuses: 404 },
    { method: "OPTIONS", path, statuses: 200 },
    { method: "PUT", path, statuses: 405 },
    { method: "POST", path, statuses: 405 },
  ];
}

function uploadLines({ upload, ownedUpload, layer }: Content): readonly Line[] {
  const path = `blobs/uploads/${upload}`;
  const owned = `blobs/uploads/${ownedUpload}`;
  const absent = { path: `blobs/uploads/${absentUpload}` };
  const finished = `?digest=${layer}`;
  const part = { method: "PATCH", body: "more" } as const;
  return [
    { method: "GET", path, statuses: 204 },
    { method: "HEAD", path, statuses: 204 },
    { ...part, path, harmless: absent, statuses: 404 },
    {
      method: "PUT",
      path: path + finished,
      harmless: { path: absent.path + finished },
      statuses: 404,
    },
    { method: "DELETE", path, harmless: absent, statuses: 404 },
    { method: "OPTIONS", path, statuses: 200 },
    { method: "GET", path: owned, statuses: 404, note: "somebody else's" },
    { method: "HEAD", path: owned, statuses: 404, note: "somebody else's" },
    { ...part, path: owned, statuses: 404, note: "somebody else's" },
    {
      ...part,
      path: owned,
      headers: { "Content-Range": "0-3" },
      statuses: 404,
      note: "somebody else's, with a range",
    },
    { method: "PUT", path: owned + finished, statuses: 404, note: "somebody else's" },
    { method: "DELETE", path: owned, statuses: 404, note: "somebody else's" },
  ];
}

function uploadsLines({ repository, layer, layerText, loose }: Content): readonly Line[] {
  const path = "blobs/uploads/";
  const mount = `${path}?mount=${loose}&from=${repository}`;
  return [
    { method: "POST", path, statuses: 202 },
    { method: "POST", path: "blobs/uploads", statuses: 202, note: "without the last slash" },
    {
      method: "POST",
      path: `${path}?digest=${layer}`,
      body: layerText,
      statuses: 201,
      note: "at once",
    },
    { method: "POST", path: `${path}?digest=${layer}`, statuses: 202, note: "without a body" },
    { method: "POST", path: mount, statuses: 201, note: "mounted from itself" },
    { method: "OPTIONS", path, statuses: 200 },
    { method: "GET", path, statuses: 405 },
  ];
}

function tagsLines(): readonly Line[] {
  return [
    { method: "GET", path: "tags/list", statuses: 200 },
    { method: "HEAD", path: "tags/list", statuses: 200 },
    { method: "GET", path: "tags/list?n=1", statuses: 200, note: "a page" },
    { method: "GET", path: "tags/list?n=1&last=pushed", statuses: 200, note: "the next page" },
    { method: "OPTIONS", path: "tags/list", statuses: 200 },
    { method: "DELETE", path: "tags/list", statuses: 405 },
  ];
}

function referrersLines({ image }: Content): readonly Line[] {
  const path = `referrers/${image}`;
  return [
    { method: "GET", path, statuses: 200 },
    { method: "HEAD", path, statuses: 200 },
    { method: "GET", path: `${path}?artifactType=x`, statuses: 200, note: "of a type" },
    { method: "GET", path: `referrers/${absentDigest}`, statuses: 200, note: "of nothing" },
    { method: "OPTIONS", path, statuses: 200 },
  ];
}

/** What is about no repository. */
export function commonRequests(): Readonly<
  Record<"catalog" | "base" | "root" | "beside", Asked[]>
> {
  const asked = (
    needs: Needs["kind"],
    status: number,
    [method, path]: [string, string],
  ): Asked => ({
    id: `${method} ${path}`,
    method,
    needs: { kind: needs as "nothing" | "login" | "catalog" },
    isApi: path.startsWith("/api/"),
    real: { path, init: { method } },
    statuses: [status],
  });
  return {
    root: [asked("nothing", 200, ["GET", "/"]), asked("nothing", 200, ["HEAD", "/"])],
    base: [
      asked("login", 200, ["GET", "/v2/"]),
      asked("login", 200, ["HEAD", "/v2/"]),
      asked("login", 200, ["GET", "/v2"]),
      asked("login", 200, ["OPTIONS", "/v2/"]),
      asked("login", 405, ["POST", "/v2/"]),
    ],
    catalog: [
      asked("catalog", 200, ["GET", "/v2/_catalog"]),
      asked("catalog", 200, ["HEAD", "/v2/_catalog"]),
      asked("catalog", 200, ["GET", "/v2/_catalog?n=1&last=public/app"]),
      asked("catalog", 200, ["OPTIONS", "/v2/_catalog"]),
      asked("catalog", 405, ["DELETE", "/v2/_catalog"]),
    ],
    beside: [
      asked("nothing", 200, ["GET", "/livez"]),
      asked("nothing", 200, ["GET", "/readyz"]),
      asked("nothing", 404, ["GET", "/nothing/here"]),
      asked("nothing", 404, ["GET", "/v2/nothing"]),
      asked("nothing", 404, ["GET", "/metrics"]),
      asked("nothing", 404, ["GET", "/debug/health"]),
      asked("nothing", 404, ["GET", "/api/v2/"]),
      asked("login", 200, ["GET", "/api/v1/openapi.json"]),
      asked("login", 405, ["DELETE", "/api/v1/openapi.json"]),
    ],
  };
}
