// What lies in each repository before anybody is asked, pushed over HTTP while everybody may do everything: an
// image, something that refers to it, a loose blob, an upload of nobody's and one of somebody's.
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { repositories } from "./shapes.ts";

export const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** Whose the second upload of each repository is: somebody who may log in and has no rights by rules. */
export const owner = "zoe";

/** Digests and ids of one repository. */
export interface Content {
  readonly repository: string;
  readonly image: string;
  readonly imageText: string;
  /** Another manifest that could be pushed in its place. */
  readonly otherText: string;
  readonly layer: string;
  readonly layerText: string;
  readonly config: string;
  readonly referrer: string;
  /** Nothing needs it. */
  readonly loose: string;
  /** For mounts, from here alone. */
  readonly mountable: string;
  readonly upload: string;
  readonly ownedUpload: string;
}

export type Ask = (path: string, init?: RequestInit) => Promise<Response>;

export function digestOf(text: string): string {
  return `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;
}

export async function fill(ask: Ask): Promise<ReadonlyMap<string, Content>> {
  const all = new Map<string, Content>();
  for (const repository of repositories) all.set(repository, await fillOne(ask, repository));
  return all;
}

async function fillOne(ask: Ask, repository: string): Promise<Content> {
  const at = `/v2/${repository}`;
  const expectStatus = async (wanted: number, path: string, init: RequestInit) => {
    const answer = await ask(at + path, init);
    if (answer.status !== wanted) throw new Error(`${path}: ${await answer.text()}`);
    return answer;
  };
  const blob = async (text: string): Promise<string> => {
    const init = { method: "POST", body: text };
    await expectStatus(201, `/blobs/uploads/?digest=${digestOf(text)}`, init);
    return digestOf(text);
  };
  const manifest = async (text: string, reference: string): Promise<string> => {
    const headers = { "Content-Type": manifestType };
    await expectStatus(201, `/manifests/${reference}`, { method: "PUT", body: text, headers });
    return digestOf(text);
  };
  const upload = async (): Promise<string> => {
    const begun = await expectStatus(202, "/blobs/uploads/", { method: "POST" });
    const id = begun.headers.get("docker-upload-uuid") ?? "";
    await expectStatus(202, `/blobs/uploads/${id}`, { method: "PATCH", body: "a part" });
    return id;
  };
  const layerText = `the layer of ${repository}`;
  const layer = await blob(layerText);
  const config = await blob(`{"os":"linux","of":"${repository}"}`);
  // In every image: whoever is told who shares it is told names.
  const shared = await blob("what all images have");
  const imageText = manifestText({ config, layers: [layer, shared] });
  const image = await manifest(imageText, "v1");
  await manifest(imageText, "pushed");
  const subject = { mediaType: manifestType, digest: image, size: imageText.length };
  const referrerText = manifestText({ config, layers: [], more: { subject } });
  return {
    repository,
    image,
    imageText,
    otherText: manifestText({ config, layers: [] }),
    layer,
    layerText,
    config,
    referrer: await manifest(referrerText, digestOf(referrerText)),
    loose: await blob(`loose in ${repository}`),
    mountable: await blob(`to be mounted from ${repository}`),
    upload: await upload(),
    ownedUpload: await upload(),
  };
}

export function manifestText(parts: {
  readonly config: string;
  readonly layers: readonly string[];
  readonly more?: Readonly<Record<string, unknown>>;
}): string {
  const descriptor = (mediaType: string, digest: string): object => ({
    mediaType,
    digest,
    size: 1,
  });
  const { config, layers, more } = parts;
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptor("application/vnd.oci.image.config.v1+json", config),
    layers: layers.map((digest) => descriptor("application/vnd.oci.image.layer.v1.tar", digest)),
    ...more,
  });
}

/** What no request can name, of the same length. */
export function ghostOf(content: Content, repository: string): Content {
  const digest = `sha256:${"0".repeat(64)}`;
  const id = "00000000-0000-4000-8000-000000000000";
  return {
    ...content,
    repository,
    image: digest,
    layer: digest,
    config: digest,
    referrer: digest,
    loose: digest,
    mountable: digest,
    upload: id,
    ownedUpload: id,
  };
}

/** The registry is stopped. */
export function giveUploads(root: string, all: ReadonlyMap<string, Content>): void {
  using index = new Database(join(root, "plimsoll/index.db"));
  for (const { ownedUpload } of all.values()) {
    const given = index.run("UPDATE uploads SET owner = ? WHERE id = ?", [owner, ownedUpload]);
    if (given.changes !== 1) throw new Error(`the index has no upload ${ownedUpload}`);
  }
}

/** All that must stay as it is, whoever asks for what they may not. The registry is stopped. */
export function stateOf(root: string, all: ReadonlyMap<string, Content>): unknown {
  using index = new Database(join(root, "plimsoll/index.db"));
  const uploads = [...all.values()].flatMap((one) => [one.upload, one.ownedUpload]);
  const among = uploads.map(() => "?").join(", ");
  return {
    tags: index
      .query("SELECT repository_id, name, blob_id, moved_at FROM tags ORDER BY 1, 2")
      .all(),
    manifests: index.query("SELECT repository_id, blob_id FROM manifests ORDER BY 1, 2").all(),
    looseBlobs: [...all.values()].map(({ repository, loose }) =>
      index
        .query(
          `SELECT count(*) AS count FROM layers l, repositories r, blobs b
           WHERE r.name = ? AND l.repository_id = r.id AND b.digest = unhex(?) AND b.id = l.blob_id`,
        )
        .get(repository, `01${loose.slice(7)}`),
    ),
    deletions: index.query("SELECT count(*) AS count FROM deletions").get(),
    runs: index.query("SELECT count(*) AS count FROM runs").get(),
    uploads: index
      .query(`SELECT id, owner, touched_at FROM uploads WHERE id IN (${among}) ORDER BY id`)
      .all(...uploads),
  };
}
