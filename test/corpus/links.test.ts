// Links: empty, cut, with a newline, of another algorithm, naming something else, to nothing.
import { symlinkSync } from "node:fs";

import { digestOf } from "../../src/oci/index.ts";
import { base } from "../fixtures/classic-tree.ts";
import { describeCorpus } from "./corpus.ts";
import {
  app,
  bent,
  blobOf,
  directoryOf,
  layerOf,
  linkedGarbage,
  multi,
  revisionOf,
  tagDirectoryOf,
} from "./paths.ts";

const nowhere = digestOf(Buffer.from("nowhere"));
const leftoverId = "4b1f0a52-79c5-4c5a-a6ea-3e7f9bd0a1c2";

describeCorpus("links", [
  { name: "nothing is bent", bend: () => ({}) },
  {
    name: "a zero-byte layer link",
    bend(tree) {
      tree.put(layerOf(bent.layer), "");
      return { odd: [["bad-link", layerOf(bent.layer)]], verify: 1, pulls: ["team/app:bent"] };
    },
  },
  {
    name: "every layer link of a repository empty, as a full disk leaves them",
    bend(tree) {
      const digests = [bent.layer, bent.config, ...bent.rest];
      for (const digest of digests) tree.put(layerOf(digest), "");
      return { odd: digests.map((digest) => ["bad-link", layerOf(digest)] as const), verify: 1 };
    },
  },
  {
    name: "a truncated layer link",
    bend(tree) {
      tree.put(layerOf(bent.layer), bent.layer.slice(0, 40));
      return { odd: [["bad-link", layerOf(bent.layer)]], verify: 1 };
    },
  },
  {
    name: "a layer link of the right length that holds something else: known by its directory's name",
    bend(tree) {
      tree.put(layerOf(bent.layer), "x".repeat(bent.layer.length));
      return { odd: [["bad-link", layerOf(bent.layer), "verify"]], verify: 1 };
    },
  },
  {
    name: "a zero-byte revision link (#1960: the classic aborts)",
    bend(tree) {
      tree.put(revisionOf(bent.manifest), "");
      return {
        odd: [["bad-link", revisionOf(bent.manifest)]],
        verify: 1,
        pulls: ["team/app:bent"],
      };
    },
  },
  {
    name: "a truncated revision link (#2635)",
    bend(tree) {
      tree.put(revisionOf(bent.manifest), bent.manifest.slice(0, 12));
      return {
        odd: [["bad-link", revisionOf(bent.manifest)]],
        verify: 1,
        pulls: ["team/app:bent"],
      };
    },
  },
  {
    name: "a zero-byte revision link of an untagged manifest: still garbage",
    bend(tree) {
      tree.put(revisionOf(base.overwritten.manifest.digest), "");
      return { odd: [["bad-link", revisionOf(base.overwritten.manifest.digest)]], verify: 1 };
    },
  },
  {
    name: "links with a newline at the end",
    bend(tree) {
      tree.put(layerOf(bent.layer), `${bent.layer}\n`);
      tree.put(revisionOf(bent.manifest), `${bent.manifest}\r\n`);
      tree.put(`${tagDirectoryOf("bent")}/current/link`, `${bent.manifest}\n`);
      return { pulls: ["team/app:bent"] };
    },
  },
  {
    name: "a layer link by another algorithm",
    bend(tree) {
      tree.put(
        `${directoryOf(app)}/_layers/sha384/${"ab".repeat(48)}/link`,
        `sha384:${"ab".repeat(48)}`,
      );
      return { odd: [["unknown-algorithm", "_layers/sha384"]] };
    },
  },
  {
    name: "a revision by another algorithm: it may name anything",
    bend(tree) {
      const path = `${directoryOf(app)}/_manifests/revisions/sha384`;
      tree.put(`${path}/${"ab".repeat(48)}/link`, `sha384:${"ab".repeat(48)}`);
      return {
        odd: [
          ["unknown-algorithm", "revisions/sha384"],
          ["unlistable-directory", "revisions/sha384"],
        ],
        stays: "all",
        verify: 1,
        collect: 1,
      };
    },
  },
  {
    name: "a link by sha512 beside one by sha256",
    bend(tree) {
      const bytes = Buffer.from("by sha512");
      const digest = digestOf(bytes, "sha512");
      tree.put(blobOf(digest), bytes);
      tree.put(layerOf(digest), digest);
      return { goes: [digest] };
    },
  },
  {
    name: "a revision link that names another manifest, which has a revision of its own",
    bend(tree) {
      tree.put(revisionOf(bent.manifest), base.ok.manifest.digest);
      return { odd: [["bad-link", revisionOf(bent.manifest)]], verify: 1 };
    },
  },
  {
    name: "a revision link that names a manifest without a link of its own",
    bend(tree) {
      const spare = tree.layer(app, "named by the other one alone");
      const lost = tree.blob(JSON.stringify({ schemaVersion: 2, layers: [{ digest: spare }] }));
      tree.put(revisionOf(bent.manifest), lost);
      return {
        odd: [
          ["bad-link", revisionOf(bent.manifest)],
          ["unreadable-manifest", blobOf(bent.manifest)],
        ],
        // What the other manifest names is linked, so it stays with all else in the repository. The other
        // manifest itself has no link of its own.
        stays: linkedGarbage,
        goes: [lost],
        verify: 1,
      };
    },
  },
  {
    name: "a layer link that names another blob",
    bend(tree) {
      tree.put(layerOf(bent.layer), base.shared.digest);
      return { odd: [["bad-link", layerOf(bent.layer), "verify"]], verify: 1 };
    },
  },
  {
    name: "a layer link to a blob that is gone",
    bend(tree) {
      tree.put(layerOf(nowhere), nowhere);
      return { odd: [["dangling-link", layerOf(nowhere)]] };
    },
  },
  {
    name: "a directory in the place of a layer's link",
    bend(tree) {
      tree.delete(layerOf(base.lone.digest));
      tree.put(`${layerOf(base.lone.digest)}/x`, "");
      return {};
    },
  },
  {
    name: "a directory in the place of a revision's link",
    bend(tree) {
      tree.delete(revisionOf(base.overwritten.manifest.digest));
      tree.put(`${revisionOf(base.overwritten.manifest.digest)}/x`, "");
      return {};
    },
  },
  {
    name: "a link that is a symbolic link to itself",
    bend(tree) {
      tree.delete(layerOf(bent.layer));
      symlinkSync("link", tree.root + layerOf(bent.layer));
      return { odd: [["bad-link", layerOf(bent.layer)]], verify: 1 };
    },
  },
  {
    name: "*.tmp files beside links (3.1 and later write so)",
    bend(tree) {
      const paths = [
        layerOf(bent.layer),
        revisionOf(bent.manifest),
        `${tagDirectoryOf("bent")}/current/link`,
      ];
      for (const path of paths) tree.put(`${path}.${leftoverId}.tmp`, "sha256:");
      return {
        odd: paths.map((path, n) => {
          const odd = ["leftover-file", `${path}.${leftoverId}.tmp`] as const;
          return n === 0 ? ([...odd, "verify"] as const) : odd;
        }),
      };
    },
  },
  {
    name: "entries of a tag's index that are left over from deleted manifests (#938)",
    bend(tree) {
      const index = `${tagDirectoryOf("ok")}/index/sha256`;
      for (const digest of [nowhere, base.deleted.manifest.digest]) {
        tree.put(`${index}/${digest.slice(7)}/link`, digest);
      }
      return { pulls: ["team/app:ok"] };
    },
  },
  {
    name: "a zero-byte entry in a tag's index",
    bend(tree) {
      const path = `${tagDirectoryOf("moved")}/index/sha256/${base.overwritten.manifest.digest.slice(7)}/link`;
      tree.put(path, "");
      return { odd: [["bad-link", path]], verify: 1 };
    },
  },
  {
    name: "all links of a list empty, its children's too",
    bend(tree) {
      const digests = [base.index, base.list].flatMap(({ manifest, images }) => [
        manifest.digest,
        ...images.map((image) => image.manifest.digest),
      ]);
      for (const digest of digests) tree.put(revisionOf(digest, multi), "");
      return {
        odd: digests.map((digest) => ["bad-link", revisionOf(digest, multi)] as const),
        verify: 1,
        pulls: ["multi:oci", "multi:docker"],
      };
    },
  },
]);
