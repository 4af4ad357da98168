// What of a manifest's references must be there for it to be accepted (INV-4), by `validation.manifests`.
import {
  type Digest,
  ManifestInvalidError,
  type ManifestReference,
  type ParsedManifest,
  type Platform,
} from "../oci/index.ts";
import type { ManifestValidation } from "./services.ts";

/** @throws ManifestInvalidError when a foreign layer has a URL that is not allowed. */
export function requiredOf(
  manifest: ParsedManifest,
  validation: ManifestValidation,
): ManifestReference[] {
  return manifest.references.filter((reference) => {
    switch (reference.kind) {
      case "blob":
        return true;
      case "manifest":
        return isChildRequired(reference.platform, validation);
      case "foreign":
        checkUrls(reference.urls ?? [], validation);
        return false;
      case "subject":
      case "other":
        return false;
    }
  });
}

/**
 * Likewise of a manifest that was accepted once and comes back: which URLs are allowed by now is not asked.
 */
export function requiredForRestore(
  manifest: ParsedManifest,
  validation: ManifestValidation,
): Digest[] {
  return manifest.references
    .filter(
      ({ kind, platform }) =>
        kind === "blob" || (kind === "manifest" && isChildRequired(platform, validation)),
    )
    .map(({ digest }) => digest);
}

function isChildRequired(platform: Platform | undefined, validation: ManifestValidation): boolean {
  const { indexChildren } = validation;
  if (indexChildren === "all") return true;
  if (indexChildren === "none" || platform === undefined) return false;
  return indexChildren.some(
    (wanted) =>
      wanted.os === platform.os &&
      wanted.architecture === platform.architecture &&
      (wanted.variant === undefined || wanted.variant === platform.variant),
  );
}

function checkUrls(urls: readonly string[], validation: ManifestValidation): void {
  for (const url of urls) {
    if (isUrlAllowed(url, validation)) continue;
    throw new ManifestInvalidError(
      `the layer URL "${url.slice(0, 300)}" is not allowed; expected http or https without a fragment, and what validation.manifests.urls allows`,
    );
  }
}

function isUrlAllowed(url: string, { urlsAllow, urlsDeny }: ManifestValidation): boolean {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.hash !== "") return false;
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") return false;
  if (urlsDeny.some((pattern) => pattern.test(url))) return false;
  return urlsAllow === null || urlsAllow.some((pattern) => pattern.test(url));
}
