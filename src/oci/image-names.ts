// What people write for a repository, or for a tag or manifest in it: `app`, `app:v1`, `app@sha256:…`.
// Without a registry's host: there is only this one.
import { type Digest, parseDigest } from "./digest.ts";
import { parseRepositoryName, parseTag, type RepositoryName, type Tag } from "./names.ts";

export interface ImageName {
  readonly repository: RepositoryName;
  /** Null: the whole repository, or (`digest`) a manifest. */
  readonly tag: Tag | null;
  readonly digest: Digest | null;
}

/** @throws NameInvalidError, TagInvalidError, DigestInvalidError */
export function parseImageName(text: string): ImageName {
  const at = text.indexOf("@");
  if (at >= 0) {
    const repository = parseRepositoryName(text.slice(0, at));
    return { repository, tag: null, digest: parseDigest(text.slice(at + 1)) };
  }
  const colon = text.indexOf(":");
  if (colon < 0) return { repository: parseRepositoryName(text), tag: null, digest: null };
  const repository = parseRepositoryName(text.slice(0, colon));
  return { repository, tag: parseTag(text.slice(colon + 1)), digest: null };
}

export interface DeletedName extends ImageName {
  /** `app#12`: the number of a deletion; null: by name. */
  readonly number: number | null;
}

/** What people write for something that was deleted: also `app#12`. @throws as parseImageName */
export function parseDeletedName(text: string): DeletedName {
  const [, before, number] = /^(.*)#([1-9]\d{0,14})$/.exec(text) ?? [];
  if (before === undefined || number === undefined)
    return { ...parseImageName(text), number: null };
  const repository = parseRepositoryName(before);
  return { repository, tag: null, digest: null, number: Number(number) };
}
