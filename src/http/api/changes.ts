// What is asked of a request that changes something, whoever may (guard.ts): it must not come from a form or a
// script of another site, which a browser would send with its user's password.
import { ApiError } from "./api-error.ts";

/** A form cannot send it, and a script of another site only if the registry's own headers allow it. */
export const changeHeader = "X-Plimsoll";

/** @throws ApiError */
export function refuseCrossSite(request: Request): void {
  const { headers } = request;
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") {
    throw new ApiError(
      "CROSS_SITE",
      `a page of another site asked for this (${site.slice(0, 40)})`,
    );
  }
  if ((headers.get(changeHeader) ?? "") === "") {
    throw new ApiError(
      "CROSS_SITE",
      `a request that changes something must carry the header ${changeHeader}: 1, so that no page of another site can send it`,
    );
  }
}
