// Endpoints as metrics and traces name them: as many as there are, whatever clients ask for.

const templates: Readonly<Record<string, string>> = {
  root: "/",
  base: "/v2/",
  catalog: "/v2/_catalog",
  tags: "/v2/{name}/tags/list",
  manifest: "/v2/{name}/manifests/{reference}",
  blob: "/v2/{name}/blobs/{digest}",
  uploads: "/v2/{name}/blobs/uploads/",
  upload: "/v2/{name}/blobs/uploads/{uuid}",
  referrers: "/v2/{name}/referrers/{digest}",
  api: "/api/v1",
};

/** @param kind of a route; "other": none was found, or one that is not listed here. */
export function routeTemplate(kind: string): string {
  return templates[kind] ?? "other";
}

const methods: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "PUT",
  "POST",
  "PATCH",
  "DELETE",
  "OPTIONS",
]);

export function isUsualMethod(method: string): boolean {
  return methods.has(method);
}
