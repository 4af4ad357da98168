// Right requests of the OCI endpoints, one after another as a client's session makes them: uploads in
// parts, manifests of what was uploaded, pulls, deletions.
import { createHash } from "node:crypto";
import type { Chance } from "./chance.ts";
import { type Asked, type Header, withHeaders } from "./asked.ts";
import {
  digestOf,
  nastyConfig,
  nastyManifest,
  rightImage,
  rightIndex,
  types,
} from "./manifests.ts";
import { nastyDigests, nastyHeaders, nastyRanges } from "./nasty.ts";
import { type OpenUpload, pathOf, remember, type Session, type Shot } from "./session.ts";

/** What is pushed to, deleted from and guessed at. */
export const playground = ["play/a", "play/b", "play/b/deep/er", "public/x"] as const;

const chunkBytesMax = 30_000;

export interface Player {
  readonly chance: Chance;
  readonly session: Session;
  /** Before /v2/: "" or "/x". */
  readonly prefix: string;
}

export function plainRequest(
  method: string,
  target: string,
  body: Uint8Array | null = null,
): Asked {
  return { method, target, headers: [["Host", "127.0.0.1"]], body };
}

export function rightShot(player: Player): Shot {
  const { chance } = player;
  return chance.weighted<(player: Player) => Shot>([
    [9, beginUpload],
    [5, pushAtOnce],
    [10, sendPart],
    [9, finish],
    [4, askOfUpload],
    [12, pushManifest],
    [9, getManifest],
    [9, getBlob],
    [3, deleteSomething],
    [4, listTags],
    [3, listCatalog],
    [5, listReferrers],
    [3, plainPath],
  ])(player);
}

function repositoryUrl({ prefix }: Player, repository: string): string {
  return `${prefix}/v2/${repository}`;
}

function beginUpload(player: Player): Shot {
  const { chance, session } = player;
  const repository = chance.pick(playground);
  const source = chance.pick(playground);
  const held = session.of(source).blobs;
  const digest =
    held.length > 0 && chance.percent(80) ? chance.pick(held) : chance.pick(nastyDigests);
  const query = chance.weighted([
    [6, ""],
    [1, "?digest-algorithm=sha512"],
    [2, `?mount=${digest}&from=${source}`],
    [1, `?mount=${digest}`],
  ]);
  return {
    asked: plainRequest("POST", `${repositoryUrl(player, repository)}/blobs/uploads/${query}`),
    heard: ({ status, headers }) => {
      if (status === 201) remember(session.of(repository).blobs, digest);
      if (status !== 202) return;
      const location = pathOf(headers.get("location") ?? "");
      remember(session.uploads, { repository, location, chunks: [] });
    },
  };
}

function content(chance: Chance): Uint8Array {
  if (chance.percent(20)) return nastyConfig(chance);
  // The same few contents often, so that repositories share blobs and pushes meet.
  if (chance.percent(40)) return Buffer.from(`shared ${chance.below(30)}`);
  return chance.bytes(chance.size(chance.percent(3) ? 300_000 : chunkBytesMax));
}

function pushAtOnce(player: Player): Shot {
  const { chance, session } = player;
  const repository = chance.pick(playground);
  const body = content(chance);
  const digest = digestOf(body, chance.percent(10) ? "sha512" : "sha256");
  const path = `${repositoryUrl(player, repository)}/blobs/uploads/?digest=${digest}`;
  return {
    asked: { ...plainRequest("POST", path, body), ...framing(chance, body) },
    heard: ({ status }) => {
      if (status === 201) remember(session.of(repository).blobs, digest);
    },
  };
}

function framing(chance: Chance, body: Uint8Array): { readonly chunks?: readonly number[] } {
  if (body.length === 0 || chance.percent(60)) return {};
  return { chunks: Array.from({ length: chance.below(6) }, () => 1 + chance.below(body.length)) };
}

function uploadOr(player: Player, use: (upload: OpenUpload) => Shot): Shot {
  const { uploads } = player.session;
  return uploads.length === 0 ? beginUpload(player) : use(player.chance.pick(uploads));
}

function sendPart(player: Player): Shot {
  const { chance } = player;
  return uploadOr(player, (upload) => {
    const body = content(chance);
    const sent = upload.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const type: Header = ["Content-Type", "application/octet-stream"];
    const range: Header = ["Content-Range", `${sent}-${sent + body.length - 1}`];
    const headers = body.length > 0 && chance.percent(40) ? [type, range] : [type];
    const asked = { ...plainRequest("PATCH", upload.location, body), ...framing(chance, body) };
    return {
      asked: withHeaders(asked, ...headers),
      heard: ({ status, headers: told }) => {
        if (status !== 202) return;
        upload.chunks.push(body);
        upload.location = pathOf(told.get("location") ?? upload.location);
      },
    };
  });
}

function finish(player: Player): Shot {
  const { chance, session } = player;
  return uploadOr(player, (upload) => {
    const last = chance.percent(30) ? content(chance) : null;
    const algorithm = chance.percent(10) ? "sha512" : "sha256";
    const hash = createHash(algorithm);
    for (const chunk of upload.chunks) hash.update(chunk);
    if (last !== null) hash.update(last);
    const digest = `${algorithm}:${hash.digest("hex")}`;
    const mark = upload.location.includes("?") ? "&" : "?";
    const asked = plainRequest("PUT", `${upload.location}${mark}digest=${digest}`, last);
    return {
      asked: last === null ? asked : { ...asked, ...framing(chance, last) },
      heard: ({ status }) => {
        const at = session.uploads.indexOf(upload);
        if (at !== -1) session.uploads.splice(at, 1);
        if (status === 201) remember(session.of(upload.repository).blobs, digest);
      },
    };
  });
}

function askOfUpload(player: Player): Shot {
  const { chance } = player;
  return uploadOr(player, ({ location }) => {
    return { asked: plainRequest(chance.pick(["GET", "GET", "HEAD", "DELETE"]), location) };
  });
}

function pushManifest(player: Player): Shot {
  const { chance, session } = player;
  const repository = chance.pick(playground);
  const holdings = session.of(repository);
  const { blobs, manifests } = holdings;
  if (blobs.length === 0) return pushAtOnce(player);
  const { type, bytes } = chance.weighted([
    [5, rightImage],
    [manifests.length === 0 ? 0 : 2, rightIndex],
    [4, nastyManifest],
  ])(chance, holdings);
  const digest = digestOf(bytes);
  const tag = chance.pick(["latest", "v1", "v2", `t${chance.below(50)}`]);
  const reference = chance.percent(50) ? tag : digest;
  const query = reference === digest && chance.percent(30) ? `?tag=${tag}&tag=other` : "";
  const target = `${repositoryUrl(player, repository)}/manifests/${reference}${query}`;
  const asked = withHeaders(plainRequest("PUT", target, bytes), ["Content-Type", latin(type)]);
  return {
    asked: { ...asked, ...framing(chance, bytes) },
    heard: ({ status }) => {
      if (status !== 201) return;
      remember(manifests, digest);
      remember(holdings.tags, tag);
    },
  };
}

/** A header holds no more than Latin-1. */
function latin(text: string): string {
  return Buffer.from(text)
    .toString("latin1")
    .replaceAll(/[\r\n\0]/g, " ");
}

function known(player: Player, of: "blobs" | "manifests" | "tags"): [string, string] {
  const { chance, session } = player;
  const repository = chance.pick(playground);
  const held = session.of(repository)[of];
  if (held.length > 0 && chance.percent(85)) return [repository, chance.pick(held)];
  return [repository, of === "tags" ? "latest" : chance.pick(nastyDigests)];
}

function getManifest(player: Player): Shot {
  const { chance } = player;
  const [repository, reference] = known(player, chance.pick(["manifests", "tags"]));
  const target = `${repositoryUrl(player, repository)}/manifests/${reference}`;
  const asked = plainRequest(chance.pick(["GET", "GET", "HEAD"]), target);
  return { asked: withHeaders(asked, ["Accept", chance.pick(["*/*", types.manifest])]) };
}

function getBlob(player: Player): Shot {
  const { chance } = player;
  const [repository, digest] = known(player, "blobs");
  const target = `${repositoryUrl(player, repository)}/blobs/${digest}`;
  const asked = plainRequest(chance.pick(["GET", "GET", "HEAD"]), target);
  if (chance.percent(50)) return { asked };
  return { asked: withHeaders(asked, ["Range", chance.pick(nastyRanges)]) };
}

function deleteSomething(player: Player): Shot {
  const { chance } = player;
  const what = chance.pick(["blobs", "manifests", "tags"] as const);
  const [repository, reference] = known(player, what);
  const kind = what === "blobs" ? "blobs" : "manifests";
  return {
    asked: plainRequest("DELETE", `${repositoryUrl(player, repository)}/${kind}/${reference}`),
  };
}

function listTags(player: Player): Shot {
  const { chance } = player;
  const repository = chance.pick(playground);
  const query = chance.pick(["", "?n=1", "?n=2&last=latest", "?last=t", "?n=1000"]);
  return { asked: plainRequest("GET", `${repositoryUrl(player, repository)}/tags/list${query}`) };
}

function listCatalog({ chance, prefix }: Player): Shot {
  const query = chance.pick(["", "?n=1", "?n=1&last=play/a", "?n=0", "?n=1001"]);
  return { asked: plainRequest("GET", `${prefix}/v2/_catalog${query}`) };
}

function listReferrers(player: Player): Shot {
  const { chance } = player;
  const [repository, digest] = known(player, "manifests");
  const query = chance.pick(["", "?artifactType=a/b", "?artifactType=%C3%A9", "?last=x"]);
  const target = `${repositoryUrl(player, repository)}/referrers/${digest}${query}`;
  return { asked: plainRequest("GET", target) };
}

function plainPath({ chance, prefix }: Player): Shot {
  const path = chance.pick([
    "/v2/",
    "/v2",
    "/",
    "/x",
    "/livez",
    "/readyz",
    "/debug/health",
    "/v3/",
  ]);
  const asked = plainRequest(chance.pick(["GET", "HEAD", "OPTIONS", "POST"]), prefix + path);
  const [name, values] = chance.pick(nastyHeaders);
  return { asked: chance.percent(50) ? asked : withHeaders(asked, [name, chance.pick(values)]) };
}
