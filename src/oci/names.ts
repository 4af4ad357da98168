// Repository names, tags and references: parsed once at the border, branded from there on.
// Source: OCI distribution-spec, "Pulling manifests" (the two regular expressions); the classic
// registry's limit of 255 characters for a name.
import { type Digest, isDigest, parseDigest } from "./digest.ts";
import { NameInvalidError, TagInvalidError } from "./errors.ts";

export type RepositoryName = string & { readonly __brand: "RepositoryName" };
export type Tag = string & { readonly __brand: "Tag" };
/** A tag or a digest: what stands behind `/manifests/`. */
export type Reference = Tag | Digest;

export const repositoryNameLengthMax = 255;

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const namePattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

export function isRepositoryName(text: string): text is RepositoryName {
  return text.length <= repositoryNameLengthMax && namePattern.test(text);
}

/** @throws NameInvalidError */
export function parseRepositoryName(text: string): RepositoryName {
  if (isRepositoryName(text)) return text;
  throw new NameInvalidError(
    `"${text.slice(0, 300)}" is not a repository name; expected at most ${repositoryNameLengthMax} characters of lower-case letters, digits and single separators (. _ __ -) in parts divided by /`,
  );
}

export function isTag(text: string): text is Tag {
  return tagPattern.test(text);
}

/** @throws TagInvalidError */
export function parseTag(text: string): Tag {
  if (isTag(text)) return text;
  throw new TagInvalidError(
    `"${text.slice(0, 160)}" is not a tag; expected 1 to 128 characters of letters, digits, _ . and -, the first no . or -`,
  );
}

/** @throws DigestInvalidError for a text with a colon, TagInvalidError otherwise. */
export function parseReference(text: string): Reference {
  return text.includes(":") ? parseDigest(text) : parseTag(text);
}

export function isDigestReference(reference: Reference): reference is Digest {
  return isDigest(reference);
}
