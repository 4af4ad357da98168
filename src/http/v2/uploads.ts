// POST of /v2/<name>/blobs/uploads/, and GET, PATCH, PUT, DELETE of a session below it.
// Everything that can refuse a request is looked at before its body is.
// Source: distribution-spec, "Pushing blobs", "Mounting a blob from another repository".
import {
  type Digest,
  DigestInvalidError,
  RangeInvalidError,
  type RepositoryName,
  algorithmOf,
  isDigest,
  isRepositoryName,
  parseDigest,
} from "../../oci/index.ts";
import type { BlobFact } from "../../registry/ports/index.ts";
import type { UploadAsked, UploadBody, Uploader } from "../../registry/registry.ts";
import type { Call, Endpoint, Env } from "../context.ts";
import { uploadRange } from "../range.ts";
import { type Reply, emptyReply } from "../reply.ts";
import { contentLength, orDrop, type Receiving, uploadBody } from "../request-body.ts";
import type { RepositoryRoute, UploadRoute } from "../route.ts";
import { queryValue } from "../target.ts";
import { digestAlgorithm } from "./manifests.ts";

export const uploadsEndpoint: Endpoint<RepositoryRoute> = { methods: { POST: beginUpload } };

export const uploadEndpoint: Endpoint<UploadRoute> = {
  methods: {
    GET: uploadStatus,
    HEAD: uploadStatus,
    PATCH: appendToUpload,
    PUT: finishUpload,
    DELETE: cancelUpload,
  },
};

async function beginUpload(env: Env, call: Call, route: RepositoryRoute): Promise<Reply> {
  const { repository } = route;
  const mount = queryValue(call.query, "mount");
  if (mount !== null) {
    const mounted = await mountBlob(env, call, { repository, mount });
    if (mounted !== null) return created(env, call, { repository, blob: mounted });
  }
  const given = queryValue(call.query, "digest");
  const digest = given === null ? null : parseDigest(given);
  // A digest without a body asks for a session, as clients do that only hope for one request.
  if (digest !== null && contentLength(call.request) !== 0) {
    return pushAtOnce(env, call, { repository, digest });
  }
  const algorithm = digest === null ? digestAlgorithm(call.query) : algorithmOf(digest);
  call.visitor?.checkUploads();
  const { id } = await env.registry.uploads.begin(repository, { ...uploaderOf(call), algorithm });
  return progress(env, call, { status: 202, repository, id, sizeBytes: 0 });
}

/** Null: it cannot be mounted (not there, or nonsense was asked for), so it is to be uploaded. */
async function mountBlob(
  env: Env,
  call: Call,
  asked: { readonly repository: RepositoryName; readonly mount: string },
): Promise<BlobFact | null> {
  const from = queryValue(call.query, "from");
  if (!isDigest(asked.mount)) return null;
  if (from !== null && from !== "" && !isRepositoryName(from)) return null;
  const source = from === "" ? null : from;
  const { blobs } = env.registry;
  const mount = { digest: asked.mount, to: asked.repository, caller: call.caller };
  const { grant } = call;
  if (grant === null) return blobs.mount({ ...mount, from: source });
  // Nobody learns from a mount what a repository holds that they may not pull.
  const mayPull = (repository: RepositoryName): boolean => grant.may("pull", repository);
  if (source !== null) return mayPull(source) ? blobs.mount({ ...mount, from: source }) : null;
  const known = await blobs.findHolder(asked.mount, mayPull);
  return known === null ? null : blobs.mount({ ...mount, from: known });
}

async function pushAtOnce(
  env: Env,
  call: Call,
  push: { readonly repository: RepositoryName; readonly digest: Digest },
): Promise<Reply> {
  const { repository, digest } = push;
  const { uploads } = env.registry;
  const body = uploadBody(call.request, receivingOf(env, call));
  const uploader = uploaderOf(call);
  const begun = { ...uploader, algorithm: algorithmOf(digest) };
  const { id } = await orDrop(body, () => uploads.begin(repository, begun));
  const upload = { repository, id, ...uploader };
  try {
    const blob = await receive(call, body, () => uploads.finish(upload, digest, body));
    return created(env, call, { repository, blob });
  } catch (error) {
    // The client never learnt of this session, so nobody else would end it. What it was ended for
    // is what the client should hear; that it is gone already is no news.
    await uploads.cancel(upload).catch(() => undefined);
    throw error;
  }
}

async function uploadStatus(env: Env, call: Call, route: UploadRoute): Promise<Reply> {
  const { repository, id } = route;
  env.uploadState.check(call.query, repository, id);
  const { sizeBytes } = await env.registry.uploads.status(askedUpload(call, route));
  return progress(env, call, { status: 204, repository, id, sizeBytes });
}

async function appendToUpload(env: Env, call: Call, route: UploadRoute): Promise<Reply> {
  const { repository, id } = route;
  env.uploadState.check(call.query, repository, id);
  const body = await partOf(env, call, route);
  const { uploads } = env.registry;
  const upload = askedUpload(call, route);
  const { sizeBytes } = await receive(call, body, () => uploads.append(upload, body));
  return progress(env, call, { status: 202, repository, id, sizeBytes });
}

async function finishUpload(env: Env, call: Call, route: UploadRoute): Promise<Reply> {
  const { repository, id } = route;
  env.uploadState.check(call.query, repository, id);
  const given = queryValue(call.query, "digest");
  if (given === null) {
    throw new DigestInvalidError("the digest parameter is missing; expected ?digest=<digest>");
  }
  const digest = parseDigest(given);
  const hasPart = call.request.body !== null || call.request.headers.has("content-range");
  const body = hasPart ? await partOf(env, call, route) : null;
  const { uploads } = env.registry;
  const upload = askedUpload(call, route);
  const blob = await receive(call, body, () => uploads.finish(upload, digest, body));
  return created(env, call, { repository, blob });
}

/** When it is the caller's turn to send; without a body there is nothing to wait for. */
function receive<T>(call: Call, body: UploadBody | null, work: () => Promise<T>): Promise<T> {
  const { visitor, request } = call;
  if (visitor === null || body === null || body.lengthBytes === 0) return orDrop(body, work);
  return orDrop(body, () => visitor.upload(() => request.signal, work));
}

/** A Content-Range that is none is answered as one out of order: with how much is there. */
async function partOf(env: Env, call: Call, route: UploadRoute): Promise<UploadBody> {
  try {
    return uploadBody(call.request, receivingOf(env, call));
  } catch (error) {
    if (!(error instanceof RangeInvalidError)) throw error;
    const { sizeBytes } = await env.registry.uploads.status(askedUpload(call, route));
    throw new RangeInvalidError(error.message, { size: sizeBytes, cause: error });
  }
}

async function cancelUpload(env: Env, call: Call, route: UploadRoute): Promise<Reply> {
  const { repository, id } = route;
  env.uploadState.check(call.query, repository, id);
  await env.registry.uploads.cancel(askedUpload(call, route));
  return emptyReply(204, { "Docker-Upload-Uuid": id });
}

function uploaderOf({ caller, grant }: Call): Uploader {
  return { caller, user: grant?.user ?? null };
}

function askedUpload(call: Call, { repository, id }: UploadRoute): UploadAsked {
  return { repository, id, ...uploaderOf(call) };
}

function progress(
  env: Env,
  call: Call,
  upload: {
    readonly status: number;
    readonly repository: RepositoryName;
    readonly id: string;
    readonly sizeBytes: number;
  },
): Reply {
  const { repository, id } = upload;
  const location = env.locations.upload(call.request, repository, id);
  return emptyReply(upload.status, {
    Location: location + env.uploadState.query(repository, id),
    Range: uploadRange(upload.sizeBytes),
    "Docker-Upload-Uuid": id,
  });
}

function created(
  env: Env,
  call: Call,
  push: { readonly repository: RepositoryName; readonly blob: BlobFact },
): Reply {
  const { digest } = push.blob;
  return emptyReply(201, {
    Location: env.locations.blob(call.request, push.repository, digest),
    "Docker-Content-Digest": digest,
  });
}

function receivingOf({ options, received, limits }: Env, { visitor }: Call): Receiving {
  return {
    slow: limits.options.slow ?? { bytesPerSecondMin: 1, graceMs: options.bodySilenceMs },
    received: (bytes) => {
      received(bytes);
      return visitor?.received(bytes) ?? 0;
    },
  };
}
