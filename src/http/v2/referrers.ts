// GET of /v2/<name>/referrers/<digest>: an image index of the manifests whose subject it is. Never
// larger than a manifest may be, whatever annotations the referrers carry: the rest follows by
// Link. Source: distribution-spec, "Listing Referrers".
import { manifestBytesMax, mediaTypes, parseDigest } from "../../oci/index.ts";
import type { ReferrerFact } from "../../registry/ports/index.ts";
import type { Call, Endpoint, Env } from "../context.ts";
import { nextLink } from "../pages.ts";
import { type Reply, textReply } from "../reply.ts";
import type { DigestRoute } from "../route.ts";
import { queryValue } from "../target.ts";

/** Referrers asked of the index at once. */
const pageReferrers = 100;

export const referrersEndpoint: Endpoint<DigestRoute> = {
  methods: { GET: listReferrers, HEAD: listReferrers },
};

async function listReferrers(env: Env, call: Call, route: DigestRoute): Promise<Reply> {
  const subject = parseDigest(route.digest);
  const wanted = queryValue(call.query, "artifactType");
  const artifactType = wanted === "" ? null : wanted;
  const last = queryValue(call.query, "last");
  const list = new BoundedIndex();
  let after = last === null || last === "" ? null : parseDigest(last);
  let more = true;
  while (more) {
    const page = await env.registry.manifests.listReferrers(route.repository, subject, {
      after,
      limit: pageReferrers,
      artifactType,
    });
    for (const referrer of page) {
      if (!list.add(referrer)) {
        const parameters = {
          last: after ?? "",
          ...(artifactType === null ? {} : { artifactType }),
        };
        return indexReply(list, artifactType, nextLink(env, call, parameters));
      }
      after = referrer.digest;
    }
    more = page.length === pageReferrers;
  }
  return indexReply(list, artifactType, null);
}

/** The text of an image index that stops growing at its bound. Holds one entry at least. */
class BoundedIndex {
  readonly #entries: string[] = [];
  #sizeBytes = 0;

  /** False: the entry does not fit any more. */
  add(referrer: ReferrerFact): boolean {
    const entry = JSON.stringify(descriptorOf(referrer));
    const sizeBytes = Buffer.byteLength(entry) + 1;
    if (this.#entries.length > 0 && this.#sizeBytes + sizeBytes > manifestBytesMax - 200) {
      return false;
    }
    this.#entries.push(entry);
    this.#sizeBytes += sizeBytes;
    return true;
  }

  text(): string {
    const manifests = this.#entries.join(",");
    return `{"schemaVersion":2,"mediaType":"${mediaTypes.ociIndex}","manifests":[${manifests}]}`;
  }
}

function descriptorOf(referrer: ReferrerFact): object {
  const { mediaType, digest, sizeBytes: size, artifactType, annotations } = referrer;
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === null ? {} : { artifactType }),
    ...(annotations === null ? {} : { annotations }),
  };
}

function indexReply(list: BoundedIndex, artifactType: string | null, link: string | null): Reply {
  return textReply(200, list.text(), {
    "Content-Type": mediaTypes.ociIndex,
    ...(artifactType === null ? {} : { "OCI-Filters-Applied": "artifactType" }),
    ...(link === null ? {} : { Link: link }),
  });
}
