// Directories: missing, that cannot be listed, very deep, with names that are none, with bytes of the wrong
// size in them or none at all.
import { mkdirSync } from "node:fs";

import { blobsRoot, repositoriesRoot } from "../../src/storage/layout.ts";
import { base } from "../fixtures/classic-tree.ts";
import type { Tree } from "../takeover/tree.ts";
import type { Odd } from "./corpus-case.ts";
import { describeCorpus } from "./corpus.ts";
import { app, bent, blobDirectoryOf, blobOf, directoryOf, multi, other } from "./paths.ts";
import { listTree } from "./tree-listing.ts";

const leftoverId = "4b1f0a52-79c5-4c5a-a6ea-3e7f9bd0a1c2";

/** Every blob of the base tree. */
function allBlobs(): string[] {
  const images = [base.ok, base.bent, base.moved, base.overwritten, base.deleted, base.deep];
  const children = [...base.index.images, ...base.list.images];
  const blobs = [...images, ...children].flatMap(({ manifest, config, layers }) => [
    manifest,
    config,
    ...layers,
  ]);
  const rest = [base.index.manifest, base.list.manifest, base.lone, base.schema1.manifest];
  return [...new Set([...blobs, ...rest, base.schema1.layer].map(({ digest }) => digest))];
}

/** Every link of a layer or a revision, as one that leads nowhere. */
function everyLink(tree: Tree): Odd[] {
  return [...listTree(tree.root).keys()].flatMap((path): Odd[] => {
    if (!path.endsWith("/link")) return [];
    if (path.includes("/_layers/")) return [["dangling-link", path]];
    return path.includes("/revisions/") ? [["dangling-revision", path]] : [];
  });
}

function makeDirectory(tree: Tree, bytes: Buffer): void {
  mkdirSync(Buffer.concat([Buffer.from(`${tree.root}${repositoriesRoot}/`), bytes]));
}

describeCorpus("directories", [
  {
    name: "nothing at all: an empty root",
    bend(tree) {
      tree.delete("/docker");
      return { stays: "all" };
    },
  },
  {
    name: "no _manifests (#1640): a repository of layers alone",
    bend(tree) {
      tree.delete(`${directoryOf(other)}/_manifests`);
      return {};
    },
  },
  {
    name: "no _layers: the images cannot be pulled, and stay",
    bend(tree) {
      tree.delete(`${directoryOf(multi)}/_layers`);
      return { odd: [["missing-directory", "multi/_layers"]], verify: 1 };
    },
  },
  {
    name: "no revisions: tags that name nothing",
    bend(tree) {
      tree.delete(`${directoryOf("deep/er/and/deeper/app")}/_manifests/revisions`);
      const { manifest, config, layers } = base.deep;
      return {
        odd: [["dangling-tag", "tags/v1/current/link"]],
        goes: [manifest, config, ...layers].map(({ digest }) => digest),
        verify: 1,
      };
    },
  },
  {
    name: "no repositories (#3200): half a tree, and not a registry full of garbage",
    bend(tree) {
      tree.delete(repositoriesRoot);
      return {
        odd: [["unlistable-directory", repositoriesRoot]],
        stays: "all",
        verify: 1,
        collect: 1,
      };
    },
  },
  {
    name: "repositories is there, but empty: all of it is garbage",
    bend(tree) {
      tree.delete(repositoriesRoot);
      mkdirSync(tree.root + repositoriesRoot);
      return { goes: allBlobs() };
    },
  },
  {
    name: "no blobs: half a tree likewise",
    bend(tree) {
      tree.delete(blobsRoot);
      return {
        odd: [["unlistable-directory", blobsRoot], ...everyLink(tree)],
        stays: "all",
        verify: 1,
        collect: 1,
      };
    },
  },
  {
    name: "a blob that nothing links",
    bend(tree) {
      return { goes: [tree.blob("nobody's")] };
    },
  },
  {
    name: "blob directories without data, with a directory for data, with a leftover",
    bend(tree) {
      const hex = (digit: string): string => digit.repeat(64);
      mkdirSync(`${tree.root}${blobsRoot}/sha256/a0/a0${hex("a").slice(2)}`, { recursive: true });
      mkdirSync(`${tree.root}${blobsRoot}/sha256/b0/b0${hex("b").slice(2)}/data`, {
        recursive: true,
      });
      tree.put(`${blobsRoot}/sha256/c0/c0${hex("c").slice(2)}/data.${leftoverId}.tmp`, "half");
      return {
        odd: [
          ["missing-data", `a0${hex("a").slice(2)}/data`],
          ["missing-data", `b0${hex("b").slice(2)}/data`],
          ["missing-data", `c0${hex("c").slice(2)}/data`],
          ["leftover-file", `data.${leftoverId}.tmp`],
        ],
      };
    },
  },
  {
    name: "a leftover beside a blob that is garbage: the blob goes, the leftover stays",
    bend(tree) {
      const path = `${blobDirectoryOf(base.lone.digest)}/data.${leftoverId}.tmp`;
      tree.put(path, "half");
      return { odd: [["leftover-file", path, "verify"]] };
    },
  },
  {
    name: "a layer's data gone",
    bend(tree) {
      tree.delete(blobOf(bent.layer));
      return {
        odd: [
          ["missing-data", blobOf(bent.layer)],
          ["dangling-link", `_layers/sha256/${bent.layer.slice(7)}/link`],
        ],
        verify: 1,
      };
    },
  },
  {
    name: "a layer's data empty: counts as absent",
    bend(tree) {
      tree.put(blobOf(bent.layer), "");
      return {
        odd: [
          ["missing-data", blobOf(bent.layer)],
          ["dangling-link", `_layers/sha256/${bent.layer.slice(7)}/link`],
        ],
        verify: 1,
      };
    },
  },
  {
    name: "a layer's data of the wrong size",
    bend(tree) {
      tree.put(blobOf(bent.layer), (base.bent.layers[0]?.bytes ?? Buffer.of()).subarray(0, 1000));
      return { verify: 1 };
    },
  },
  {
    name: "files where directories should be",
    bend(tree) {
      tree.put(`${blobsRoot}/README`, "x");
      tree.put(`${blobsRoot}/sha256/ff/README`, "x");
      tree.put(`${directoryOf(app)}/_uploads/README`, "x");
      tree.put(`${directoryOf(app)}/_layers/README`, "x");
      tree.put(`${repositoriesRoot}/README`, "x");
      return {
        odd: [
          ["unknown-algorithm", "blobs/README"],
          ["unknown-name", "ff/README"],
          ["abandoned-upload", "_uploads/README"],
          ["unknown-algorithm", "_layers/README"],
          ["unknown-name", "repositories/README"],
        ],
      };
    },
  },
  {
    name: "a file in the place of a repository's _layers",
    bend(tree) {
      tree.delete(`${directoryOf(multi)}/_layers`);
      tree.put(`${directoryOf(multi)}/_layers`, "x");
      return {
        odd: [
          ["unknown-name", "multi/_layers"],
          ["missing-directory", "multi/_layers"],
        ],
        verify: 1,
      };
    },
  },
  {
    name: "blobs under an algorithm that is not known",
    bend(tree) {
      tree.put(`${blobsRoot}/sha384/ab/${"ab".repeat(48)}/data`, "x");
      return { odd: [["unknown-algorithm", "blobs/sha384"]] };
    },
  },
  {
    name: "a blob in the wrong directory, and a name that is no digest",
    bend(tree) {
      tree.put(`${blobsRoot}/sha256/dd/${"e".repeat(64)}/data`, "x");
      tree.put(`${blobsRoot}/sha256/dd/${"D".repeat(64)}/data`, "x");
      tree.put(`${blobsRoot}/sha256/zz/${"f".repeat(64)}/data`, "x");
      return {
        odd: [
          ["unknown-name", `dd/${"e".repeat(64)}`],
          ["unknown-name", `dd/${"D".repeat(64)}`],
          ["unknown-name", "sha256/zz"],
        ],
      };
    },
  },
  {
    name: "unknown directories beside those of a repository",
    bend(tree) {
      tree.put(`${directoryOf(app)}/_notes/x`, "x");
      tree.put(`${directoryOf(app)}/_manifests/notes/x`, "x");
      return {
        odd: [
          ["unknown-name", "team/app/_notes"],
          ["unknown-name", "team/app/_manifests/notes"],
        ],
      };
    },
  },
  {
    name: "empty directories that deletions leave (#1585)",
    bend(tree) {
      for (const path of ["gone/_layers/sha256", "gone/_manifests/tags", "emptied/within"]) {
        mkdirSync(`${tree.root}${repositoriesRoot}/${path}`, { recursive: true });
      }
      return {};
    },
  },
  {
    name: "a repository 60 directories deep, and a name of 255 characters",
    bend(tree) {
      const deep = Array.from({ length: 60 }, () => "d").join("/");
      const long = "x".repeat(255);
      tree.image(deep, "v1");
      tree.image(long, "v1");
      return { pulls: [`${deep}:v1`, `${long}:v1`] };
    },
  },
  {
    name: "a name longer than a client may ask for: kept with all that it names",
    bend(tree) {
      const name = `${"a".repeat(200)}/${"b".repeat(200)}`;
      const { digest, config, layer } = tree.image("short", "v1");
      const untagged = tree.image("short", "v2", null);
      tree.move(`${repositoriesRoot}/short`, `${repositoriesRoot}/${name}`);
      return {
        odd: [
          ["unknown-name", name],
          ["unreadable-tag", `${name}/_manifests/tags`],
        ],
        stays: [digest, config, layer, untagged.digest],
        verify: 1,
      };
    },
  },
  {
    name: "a path longer than the system can open",
    bend(tree) {
      const path = tree.moveDeep(`${repositoriesRoot}/${other}`);
      return {
        odd: [["unlistable-directory", path]],
        stays: "all",
        verify: 1,
        collect: 1,
      };
    },
  },
  {
    name: "a repository whose name is not allowed",
    bend(tree) {
      tree.image("odd", "v1");
      tree.image("odd", "untagged", null);
      tree.move(`${repositoriesRoot}/odd`, `${repositoriesRoot}/Odd!`);
      return {
        odd: [
          ["unknown-name", "repositories/Odd!"],
          ["unreadable-tag", "Odd!/_manifests/tags"],
        ],
        verify: 1,
      };
    },
  },
  {
    name: "a directory of repositories whose name is not UTF-8",
    bend(tree) {
      makeDirectory(tree, Buffer.from([0xff, 0x41]));
      return {
        odd: [["unlistable-directory", String.raw`repositories/\xffA`]],
        stays: "all",
        verify: 1,
        collect: 1,
      };
    },
  },
  {
    name: "names that are not UTF-8 or hold a newline, below links, tags, uploads and blobs",
    bend(tree) {
      const at = [`${app}/_layers/sha256/`, `${app}/_manifests/tags/`, `${app}/_uploads/`];
      for (const path of [...at, "../blobs/sha256/ff/"]) {
        mkdirSync(`${tree.root}${repositoriesRoot}/${path}`, { recursive: true });
        for (const name of [Buffer.of(0xfe), Buffer.from("two\nlines")]) {
          makeDirectory(tree, Buffer.concat([Buffer.from(path), name]));
        }
      }
      return {
        odd: [
          ...at.map((path) => `${repositoriesRoot}/${path}`),
          `${blobsRoot}/sha256/ff/`,
        ].flatMap((path) => [
          ["unknown-name", String.raw`${path}\xfe`] as const,
          ["unknown-name", String.raw`${path}two\x0alines`] as const,
        ]),
      };
    },
  },
  {
    name: "an upload that does not say when it began (2.x never purges it)",
    bend(tree) {
      tree.put(`${directoryOf(app)}/_uploads/no-start/data`, "half");
      // Written down at the first stop.
      return { odd: [["abandoned-upload", "_uploads/no-start", "verify"]] };
    },
  },
  {
    name: "a directory in the place of an upload's startedat",
    bend(tree) {
      tree.put(`${directoryOf(app)}/_uploads/odd/data`, "half");
      tree.put(`${directoryOf(app)}/_uploads/odd/startedat/x`, "");
      // Every stop tries to write it, which looks like a write under way for a moment.
      return { odd: [["abandoned-upload", "_uploads/odd", "verify"]] };
    },
  },
]);
