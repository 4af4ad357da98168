// The vocabulary of the registry: digests, names, media types, manifests, error codes. Imports nothing.
export * from "./attachments.ts";
export * from "./digest.ts";
export * from "./errors.ts";
export * from "./globs.ts";
export * from "./image-names.ts";
export * from "./manifest.ts";
export * from "./media-types.ts";
export * from "./names.ts";
