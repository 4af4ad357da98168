// Symbolic links are the operator's: read as the directories that they point to, each real one once, never
// removed; and nothing is removed by a second name of a directory of the same tree.
import { mkdirSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";

import { blobsRoot, repositoriesRoot } from "../../src/storage/layout.ts";
import { base } from "../fixtures/classic-tree.ts";
import type { Tree } from "../takeover/tree.ts";
import { describeCorpus } from "./corpus.ts";
import {
  app,
  bent,
  blobDirectoryOf,
  blobOf,
  directoryOf,
  layerOf,
  revisionOf,
  tagDirectoryOf,
} from "./paths.ts";

/** Makes `path` a symbolic link to what is moved out of the tree. */
function moveOut(tree: Tree, path: string): void {
  const elsewhere = `/elsewhere/${path.replaceAll("/", "-")}`;
  tree.move(path, elsewhere);
  link(tree, path, tree.root + elsewhere);
}

function link(tree: Tree, path: string, target: string): void {
  mkdirSync(dirname(tree.root + path), { recursive: true });
  symlinkSync(target, tree.root + path);
}

describeCorpus("symbolic links", [
  {
    name: "repositories and blobs on other disks",
    bend(tree) {
      moveOut(tree, blobsRoot);
      moveOut(tree, `${repositoriesRoot}/team`);
      return { pulls: ["team/app:ok", "team/other:ok"] };
    },
  },
  {
    name: "one directory of blobs, and one of layers, on another disk",
    bend(tree) {
      moveOut(tree, dirname(blobDirectoryOf(base.lone.digest)));
      moveOut(tree, `${directoryOf(app)}/_layers`);
      return { pulls: ["team/app:ok"] };
    },
  },
  {
    name: "loops among the repositories",
    bend(tree) {
      link(tree, `${directoryOf(app)}/loop`, "..");
      link(tree, `${repositoriesRoot}/all`, ".");
      return {
        odd: [
          ["unknown-name", "team/app/loop"],
          ["unknown-name", "repositories/all"],
        ],
      };
    },
  },
  {
    name: "a repository under two names: read under its real one, and nothing goes by the other",
    bend(tree) {
      link(tree, `${repositoriesRoot}/a-team`, "team");
      return {
        odd: [["unknown-name", "repositories/a-team"]],
        visits: [base.shared.digest, base.lone.digest, bent.layer].map(
          (digest) => `/v2/a-team/app/blobs/${digest}`,
        ),
      };
    },
  },
  {
    name: "the layers of one repository as those of another: nothing of the first goes",
    bend(tree) {
      link(tree, `${repositoriesRoot}/alias/_layers`, `../team/app/_layers`);
      return {
        odd: [["unknown-name", "alias/_layers"]],
        visits: [base.shared.digest, bent.layer].map((digest) => `/v2/alias/blobs/${digest}`),
      };
    },
  },
  {
    name: "all parts of one repository as those of another",
    bend(tree) {
      link(tree, `${repositoriesRoot}/alias/_layers`, `../team/app/_layers`);
      link(tree, `${repositoriesRoot}/alias/_manifests`, `../team/app/_manifests`);
      return {
        odd: [
          ["unknown-name", "alias/_layers"],
          ["unknown-name", "alias/_manifests"],
        ],
        visits: ["/v2/alias/manifests/ok", "/v2/alias/tags/list"],
      };
    },
  },
  {
    name: "a blob's directory as another name of a blob that is needed: no byte goes",
    bend(tree) {
      const alias = `${blobsRoot}/sha256/aa/${"a".repeat(64)}`;
      link(tree, alias, tree.root + blobDirectoryOf(base.shared.digest));
      return { verify: 1, collect: 1, fails: [`sha256:${"a".repeat(64)}`] };
    },
  },
  {
    name: "a revision's directory as another name of one that is tagged",
    bend(tree) {
      const alias = dirname(revisionOf(base.overwritten.manifest.digest));
      tree.delete(alias);
      link(tree, alias, tree.root + dirname(revisionOf(base.ok.manifest.digest)));
      return { odd: [["unknown-name", alias]] };
    },
  },
  {
    name: "a tag as another name of a tag",
    bend(tree) {
      link(tree, tagDirectoryOf("latest"), "ok");
      return { pulls: ["team/app:latest"] };
    },
  },
  {
    name: "the bytes of blobs as links to files elsewhere",
    bend(tree) {
      for (const digest of [bent.layer, base.lone.digest]) {
        tree.move(blobOf(digest), `/files/${digest.slice(7)}`);
        link(tree, blobOf(digest), `${tree.root}/files/${digest.slice(7)}`);
      }
      return { pulls: ["team/app:bent"] };
    },
  },
  {
    name: "a repository that is a link to nothing: perhaps a disk that is not mounted",
    bend(tree) {
      link(tree, `${repositoriesRoot}/unmounted`, "/nowhere/at/all");
      return {
        odd: [["unlistable-directory", "repositories/unmounted"]],
        stays: "all",
        verify: 1,
        collect: 1,
      };
    },
  },
  {
    name: "a directory of blobs that is a link to itself",
    bend(tree) {
      const shard = dirname(blobDirectoryOf(base.lone.digest));
      tree.delete(shard);
      link(tree, shard, shard.slice(-2));
      return {
        odd: [
          ["unlistable-directory", shard],
          ["dangling-link", layerOf(base.lone.digest)],
        ],
        stays: "all",
        verify: 1,
        collect: 1,
      };
    },
  },
  {
    name: "tags that cannot be listed",
    bend(tree) {
      const tags = `${directoryOf(app)}/_manifests/tags`;
      tree.delete(tags);
      link(tree, tags, "tags");
      return {
        odd: [["unlistable-directory", tags]],
        stays: "all",
        verify: 1,
        collect: 1,
      };
    },
  },
  {
    name: "a link to a file among the repositories, and one among the uploads",
    bend(tree) {
      tree.put("/elsewhere", "x");
      link(tree, `${repositoriesRoot}/file`, `${tree.root}/elsewhere`);
      link(tree, `${directoryOf(app)}/_uploads/odd`, `${tree.root}/elsewhere`);
      return {
        odd: [
          ["unknown-name", "repositories/file"],
          ["abandoned-upload", "_uploads/odd"],
        ],
      };
    },
  },
]);
