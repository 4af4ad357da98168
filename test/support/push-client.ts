// A small registry client that speaks HTTP as docker does (HEAD, mount, POST, PATCH, PUT), for storms
// and benches, where starting a real client for each image would be the slowest part.
// It checks every digest it receives, and never sends a HEAD where that would renew a lease unasked.
import type { Blob, Image } from "./images.ts";
import { digestOf, mediaTypes } from "./images.ts";

const acceptedManifests = [
  mediaTypes.manifest,
  mediaTypes.index,
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
  "application/vnd.docker.distribution.manifest.v1+json",
].join(", ");

/** How often a push whose blobs were collected under it is begun again. */
const pushAttempts = 10;
/** What a client waits when it was told that the server is busy. */
const busyPauseMs = 500;

/** An answer that was not the expected one. */
export class UnexpectedAnswerError extends Error {
  override readonly name = "UnexpectedAnswerError";
  constructor(
    readonly request: string,
    readonly status: number,
    readonly body: string,
  ) {
    super(`${request} answered ${status}: ${body.slice(0, 500)}`);
  }

  /** The OCI error codes of the body; none when it is not in the OCI form. */
  get codes(): readonly string[] {
    try {
      const { errors } = JSON.parse(this.body) as { errors: { code: string }[] };
      return errors.map((error) => error.code);
    } catch {
      // Not JSON, or of another shape: then it has no codes.
      return [];
    }
  }
}

export interface Pulled {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** The configuration and the layers by digest, each checked; empty for an index. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
}

interface ManifestBody {
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
}

interface Push {
  readonly repository: string;
  readonly tag: string;
  readonly image: Image;
  readonly mountFrom?: string;
}

interface Sent extends RequestInit {
  readonly expect: readonly number[];
}

export class PushClient {
  /** HTTP requests sent so far. */
  requests = 0;
  /** Pushes begun again because a manifest was refused with MANIFEST_BLOB_UNKNOWN. */
  retriedPushes = 0;
  /** Pushes begun again because of a 503. */
  busyAnswers = 0;

  constructor(readonly url: string) {}

  async send(path: string, init: Sent): Promise<Response> {
    const method = init.method ?? "GET";
    const url = new URL(path, this.url);
    this.requests += 1;
    const response = await fetch(url, { redirect: "manual", ...init });
    if (!init.expect.includes(response.status)) {
      const body = await response.text();
      throw new UnexpectedAnswerError(`${method} ${url.pathname}`, response.status, body);
    }
    return response;
  }

  /**
   * Pushes as docker does: what is there is not sent again.
   * When this resolves, the registry has acknowledged the image.
   */
  push(repository: string, tag: string, image: Image): Promise<void> {
    return this.pushMounting({ repository, tag, image });
  }

  /** As push; `mountFrom`: a repository that may have the blobs already. */
  async pushMounting({ repository, tag, image, mountFrom }: Push): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        for (const blob of [...image.layers, image.config]) {
          await this.pushBlob(repository, blob, mountFrom);
        }
        await this.putManifest(repository, tag, image.manifest);
        return;
      } catch (error) {
        if (attempt === pushAttempts || !(error instanceof UnexpectedAnswerError)) throw error;
        if (error.codes.includes("MANIFEST_BLOB_UNKNOWN")) {
          this.retriedPushes += 1;
        } else if (error.status === 503) {
          this.busyAnswers += 1;
          await Bun.sleep(busyPauseMs);
        } else {
          throw error;
        }
      }
    }
  }

  async putManifest(repository: string, reference: string, manifest: Blob): Promise<void> {
    const response = await this.send(`/v2/${repository}/manifests/${reference}`, {
      method: "PUT",
      headers: { "Content-Type": manifest.mediaType },
      body: manifest.bytes,
      expect: [201],
    });
    await response.arrayBuffer();
  }

  async pushBlob(repository: string, blob: Blob, mountFrom?: string): Promise<void> {
    const path = `/v2/${repository}/blobs/${blob.digest}`;
    const head = await this.send(path, { method: "HEAD", expect: [200, 404] });
    if (head.status === 200) return;
    const mount = mountFrom === undefined ? "" : `?mount=${blob.digest}&from=${mountFrom}`;
    const begun = await this.send(`/v2/${repository}/blobs/uploads/${mount}`, {
      method: "POST",
      expect: mount === "" ? [202] : [201, 202],
    });
    await begun.arrayBuffer();
    if (begun.status === 201) return;
    const sent = await this.send(locationOf(begun), {
      method: "PATCH",
      headers: { "Content-Type": "application/octet-stream" },
      body: blob.bytes,
      expect: [202],
    });
    await sent.arrayBuffer();
    await this.finishUpload(locationOf(sent), blob.digest);
  }

  async finishUpload(location: string, digest: string): Promise<void> {
    const separator = location.includes("?") ? "&" : "?";
    const done = await this.send(`${location}${separator}digest=${encodeURIComponent(digest)}`, {
      method: "PUT",
      expect: [201],
    });
    await done.arrayBuffer();
  }

  /** Begins an upload and returns where to send its bytes. */
  async beginUpload(repository: string): Promise<string> {
    const begun = await this.send(`/v2/${repository}/blobs/uploads/`, {
      method: "POST",
      expect: [202],
    });
    await begun.arrayBuffer();
    return locationOf(begun);
  }

  async getManifest(repository: string, reference: string): Promise<Omit<Pulled, "blobs">> {
    const path = `/v2/${repository}/manifests/${reference}`;
    const response = await this.send(path, {
      headers: { Accept: acceptedManifests },
      expect: [200],
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const digest = response.headers.get("Docker-Content-Digest") ?? "";
    if (digestOf(bytes) !== digest)
      throw new Error(`${path}: the bytes are not those of ${digest}`);
    return { digest, mediaType: response.headers.get("Content-Type") ?? "", bytes };
  }

  async getBlob(repository: string, digest: string): Promise<Uint8Array> {
    const path = `/v2/${repository}/blobs/${digest}`;
    const response = await this.send(path, { expect: [200] });
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (digestOf(bytes) !== digest)
      throw new Error(`${path}: the bytes are not those of the digest`);
    return bytes;
  }

  /** Reads the manifest and all that it names, and checks each digest. */
  async pull(repository: string, reference: string): Promise<Pulled> {
    const manifest = await this.getManifest(repository, reference);
    const body = JSON.parse(new TextDecoder().decode(manifest.bytes)) as ManifestBody;
    const blobs = new Map<string, Uint8Array>();
    for (const { digest } of [...(body.config ? [body.config] : []), ...(body.layers ?? [])]) {
      blobs.set(digest, await this.getBlob(repository, digest));
    }
    return { ...manifest, blobs };
  }

  /** Of a manifest by digest (its tags go too), or of a tag alone. */
  async deleteManifest(repository: string, reference: string): Promise<void> {
    const path = `/v2/${repository}/manifests/${reference}`;
    const response = await this.send(path, { method: "DELETE", expect: [202] });
    await response.arrayBuffer();
  }

  async statusOf(path: string): Promise<number> {
    this.requests += 1;
    const headers = { Accept: acceptedManifests };
    const response = await fetch(new URL(path, this.url), { headers });
    await response.arrayBuffer();
    return response.status;
  }

  async repositories(): Promise<readonly string[]> {
    const response = await this.send("/v2/_catalog?n=1000", { expect: [200] });
    return ((await response.json()) as { repositories: string[] }).repositories;
  }

  async tags(repository: string): Promise<readonly string[]> {
    const response = await this.send(`/v2/${repository}/tags/list`, { expect: [200] });
    // The classic registry says null where there are none.
    return ((await response.json()) as { tags: string[] | null }).tags ?? [];
  }
}

function locationOf(response: Response): string {
  const location = response.headers.get("Location");
  if (location === null) throw new Error(`${response.url} answered without a Location`);
  return location;
}
