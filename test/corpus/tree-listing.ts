// Lists what lies under a root, byte for byte and without following symbolic links, and says whether a
// registry may have taken it away.
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What each path that is no directory is: of a link file its content, else the kind and size. */
export type TreeListing = ReadonlyMap<string, string>;

const ours = /^\/(?:plimsoll\/|docker\/registry\/v2\/plimsoll-root-id$)/;
const hex = "[0-9a-f]+";
/** Linux' PATH_MAX, less what the name of an entry may add. */
const pathBytesMax = 4095 - 256;
const removable = new RegExp(
  `^/docker/registry/v2/(?:blobs/\\w+/[0-9a-f]{2}/${hex}/data` +
    `|repositories/.+/(?:_layers|_manifests/revisions|_manifests/tags/[^/]+/index)/\\w+/${hex}/link)$`,
);

/** Written at a stop where there is none, for the classic registry's purge. */
const uploadStart = /\/_uploads\/[^/]+\/startedat$/;

/** Everything under the root but our own files. Names are read as bytes, shown as latin1. */
export function listTree(root: string): TreeListing {
  const found = new Map<string, string>();
  walk(Buffer.from(root), "", found);
  return found;
}

function walk(root: Buffer, directory: string, found: Map<string, string>): void {
  const absolute = Buffer.concat([root, Buffer.from(directory, "latin1")]);
  // Too long for any system call: no registry can have touched it either.
  if (absolute.length > pathBytesMax) return;
  for (const name of readdirSync(absolute, { encoding: "buffer" })) {
    const path = `${directory}/${name.toString("latin1")}`;
    const at = Buffer.concat([absolute, Buffer.from("/"), name]);
    const stat = lstatSync(at);
    if (stat.isDirectory()) walk(root, path, found);
    else if (!ours.test(path)) found.set(atHome(path), contentOf(at, stat));
  }
}

/** Of what a case moved out of the tree, to be reached by a link: where it was. */
function atHome(path: string): string {
  const match = /^\/elsewhere\/(-[^/]+)(.*)$/.exec(path);
  return match === null ? path : `${match[1]?.replaceAll("-", "/")}${match[2]}`;
}

function contentOf(at: Buffer, stat: ReturnType<typeof lstatSync>): string {
  if (stat?.isSymbolicLink() === true) return `-> ${readlinkSync(at)}`;
  if (stat?.isFile() !== true) return "special";
  return stat.size < 1000 ? readFileSync(at, "latin1") : `${stat.size} bytes`;
}

/** What changed that no collection may change: new files, other contents, anything else removed. */
export function wrongChanges(before: TreeListing, after: TreeListing): string[] {
  const gone = [...before.keys()].filter((path) => !after.has(path) && !removable.test(path));
  const changed = [...after].filter(
    ([path, content]) =>
      before.get(path) !== content && (before.has(path) || !uploadStart.test(path)),
  );
  return [
    ...gone.map((path) => `removed: ${path}`),
    ...changed.map(([path]) => `${before.has(path) ? "changed" : "new"}: ${path}`),
  ];
}

/** The digests of the files that lie where a blob's data does. */
export function storedDigests(listing: TreeListing): string[] {
  return [...listing.keys()].flatMap((path) => {
    const match = /\/v2\/blobs\/(\w+)\/\w\w\/(\w+)\/data$/.exec(path);
    return match === null ? [] : [`${match[1]}:${match[2]}`];
  });
}
