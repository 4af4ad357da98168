// GET, HEAD, PUT and DELETE of /v2/<name>/manifests/<reference>.
// A manifest goes out as it came in: same bytes, same Content-Type, whatever the client accepts.
// Source: distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting Manifests".
import {
  DigestInvalidError,
  TagInvalidError,
  type DigestAlgorithm,
  type Tag,
  isDigestAlgorithm,
  isDigestReference,
  parseReference,
  parseTag,
} from "../../oci/index.ts";
import type { ManifestFact } from "../../registry/ports/index.ts";
import { etagOf, hasMatch } from "../conditional.ts";
import type { Call, Endpoint, Env } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { type Reply, emptyReply } from "../reply.ts";
import { readManifestBody } from "../request-body.ts";
import { type ManifestRoute, parseKnownReference } from "../route.ts";
import { queryValue, queryValues } from "../target.ts";

/** A header holds no more than 4096 bytes of them. */
const warningsMax = 5;

export const manifestEndpoint: Endpoint<ManifestRoute> = {
  methods: { GET: getManifest, HEAD: headManifest, PUT: putManifest, DELETE: deleteManifest },
  deletes: true,
};

async function getManifest(env: Env, call: Call, route: ManifestRoute): Promise<Reply> {
  const reference = parseKnownReference(route.reference);
  const manifest = await env.registry.manifests.get(route.repository, reference);
  if (hasMatch(call.request.headers.get("if-none-match"), manifest.digest)) {
    return notModified(manifest);
  }
  const { bytes } = manifest;
  return { status: 200, headers: headersOf(manifest), body: bytes, sizeBytes: bytes.byteLength };
}

async function headManifest(env: Env, call: Call, route: ManifestRoute): Promise<Reply> {
  const { manifests } = env.registry;
  const reference = parseKnownReference(route.reference);
  const mayPush = call.grant?.may("push", route.repository) ?? true;
  const manifest =
    env.options.readOnly || !mayPush
      ? await manifests.find(route.repository, reference)
      : await manifests.findForPush(route.repository, reference, call.caller);
  if (hasMatch(call.request.headers.get("if-none-match"), manifest.digest)) {
    return notModified(manifest);
  }
  return { status: 200, headers: headersOf(manifest), body: null, sizeBytes: manifest.sizeBytes };
}

function headersOf(manifest: ManifestFact): Record<string, string> {
  return {
    "Content-Type": manifest.mediaType,
    "Docker-Content-Digest": manifest.digest,
    Etag: etagOf(manifest.digest),
  };
}

function notModified(manifest: ManifestFact): Reply {
  return emptyReply(304, {
    "Docker-Content-Digest": manifest.digest,
    Etag: etagOf(manifest.digest),
  });
}

async function putManifest(env: Env, call: Call, route: ManifestRoute): Promise<Reply> {
  const reference = parseReference(route.reference);
  const tags = tagParameters(call.query, env.limits.options.tagParametersMax);
  if (tags.length > 0 && !isDigestReference(reference)) {
    throw new TagInvalidError("tag parameters go with a push by digest only");
  }
  const algorithm = digestAlgorithm(call.query);
  const contentType = call.request.headers.get("content-type") ?? "";
  const bytes = await readManifestBody(call.request, {
    bytesMax: env.limits.options.manifestBytesMax,
    // At the least rate that is asked of anybody, and not at once.
    msMax: env.limits.options.slow?.graceMs ?? env.options.bodySilenceMs,
  });
  env.received(bytes.byteLength);
  const accepted = await env.registry.manifests.put({
    repository: route.repository,
    reference,
    tags,
    contentType: (contentType.split(";", 1)[0] ?? "").trim(),
    bytes,
    algorithm,
    caller: call.caller,
  });
  return emptyReply(201, {
    Location: env.locations.manifest(call.request, route.repository, accepted.digest),
    "Docker-Content-Digest": accepted.digest,
    ...(accepted.subject === null ? {} : { "OCI-Subject": accepted.subject }),
    // One line for all: the runtime cannot send a header of the same name twice.
    ...(tags.length === 0 ? {} : { "OCI-Tag": accepted.tags.join(", ") }),
    ...warningHeader(accepted.warnings ?? []),
  });
}

/** In the form that the specification gives ("Warnings"): one header, and little of it. */
function warningHeader(warnings: readonly string[]): { readonly Warning?: string } {
  if (warnings.length === 0) return {};
  const quoted = warnings.slice(0, warningsMax).map((text) => text.replaceAll(/["\\]/g, "'"));
  return { Warning: quoted.map((text) => `299 - "${text}"`).join(", ") };
}

/**
 * @throws TagInvalidError, HttpError 414 when there are too many to be answered with confidence.
 */
function tagParameters(query: string, most: number): Tag[] {
  const given = queryValues(query, "tag");
  if (given.length > most) {
    throw new HttpError(
      `${given.length} tag parameters; at most ${most} are accepted in one request`,
      { status: 414, code: "TAG_INVALID" },
    );
  }
  return [...new Set(given.map(parseTag))];
}

/** `?digest-algorithm=`: what the digest will be made with. @throws DigestInvalidError */
export function digestAlgorithm(query: string): DigestAlgorithm {
  const given = queryValue(query, "digest-algorithm");
  if (given === null || given === "") return "sha256";
  if (isDigestAlgorithm(given)) return given;
  throw new DigestInvalidError(
    `digest-algorithm "${given.slice(0, 40)}" is not known; expected sha256 or sha512`,
  );
}

async function deleteManifest(env: Env, call: Call, route: ManifestRoute): Promise<Reply> {
  const reference = parseKnownReference(route.reference);
  await env.registry.manifests.delete(route.repository, reference, call);
  return emptyReply(202);
}
