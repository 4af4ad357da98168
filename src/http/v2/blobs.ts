// GET, HEAD and DELETE of /v2/<name>/blobs/<digest>. Bytes go from the storage into the response as
// they are, so that the kernel can send files itself. Source: distribution-spec, "Pulling blobs",
// "Deleting Blobs"; RFC 9110 §14 for ranges.
import { type Digest, parseDigest } from "../../oci/index.ts";
import { etagOf, hasMatch } from "../conditional.ts";
import type { Call, Endpoint, Env } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { parseRange } from "../range.ts";
import { type Reply, emptyReply } from "../reply.ts";
import type { DigestRoute } from "../route.ts";

export const blobEndpoint: Endpoint<DigestRoute> = {
  methods: { GET: getBlob, HEAD: headBlob, DELETE: deleteBlob },
  deletes: true,
};

async function getBlob(env: Env, call: Call, route: DigestRoute): Promise<Reply> {
  const blob = await env.registry.blobs.find(route.repository, parseDigest(route.digest));
  const headers = headersOf(blob.digest);
  const asked = call.request.headers;
  if (hasMatch(asked.get("if-none-match"), blob.digest)) return notModified(blob.digest);
  const ifRange = asked.get("if-range");
  const stillTheSame = ifRange === null || ifRange === etagOf(blob.digest);
  const range = stillTheSame ? parseRange(asked.get("range"), blob.sizeBytes) : "whole";
  if (range === "unsatisfiable") {
    throw new HttpError(`the blob has ${blob.sizeBytes} bytes, none of them in this range`, {
      status: 416,
      code: "RANGE_INVALID",
      headers: { "Content-Range": `bytes */${blob.sizeBytes}` },
    });
  }
  if (range === "whole") {
    const body = await env.registry.blobs.read(blob);
    return { status: 200, headers, body, sizeBytes: blob.sizeBytes };
  }
  headers["Content-Range"] = `bytes ${range.start}-${range.end - 1}/${blob.sizeBytes}`;
  const body = await env.registry.blobs.read(blob, range);
  return { status: 206, headers, body, sizeBytes: range.end - range.start };
}

async function headBlob(env: Env, call: Call, route: DigestRoute): Promise<Reply> {
  const { blobs } = env.registry;
  const digest = parseDigest(route.digest);
  // Who may only pull refers to nothing, and so needs no lease (INV-5).
  const mayPush = call.grant?.may("push", route.repository) ?? true;
  const blob =
    env.options.readOnly || !mayPush
      ? await blobs.find(route.repository, digest)
      : await blobs.findForPush(route.repository, digest, call.caller);
  if (hasMatch(call.request.headers.get("if-none-match"), digest)) return notModified(digest);
  return { status: 200, headers: headersOf(digest), body: null, sizeBytes: blob.sizeBytes };
}

function headersOf(digest: Digest): Record<string, string> {
  return {
    "Accept-Ranges": "bytes",
    "Cache-Control": "max-age=31536000",
    // Without it the runtime would add one with the file's name; nor should a browser show a blob.
    "Content-Disposition": "attachment",
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    Etag: etagOf(digest),
  };
}

function notModified(digest: Digest): Reply {
  return emptyReply(304, {
    "Cache-Control": "max-age=31536000",
    "Docker-Content-Digest": digest,
    Etag: etagOf(digest),
  });
}

async function deleteBlob(env: Env, call: Call, route: DigestRoute): Promise<Reply> {
  const digest = parseDigest(route.digest);
  await env.registry.blobs.delete(route.repository, digest, call);
  return emptyReply(202, { "Docker-Content-Digest": digest });
}
