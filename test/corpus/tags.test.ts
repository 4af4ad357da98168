// Tags: empty, without a current link, to a missing revision, with names that are none.
import { symlinkSync } from "node:fs";

import { digestOf } from "../../src/oci/index.ts";
import { base, baseGarbage } from "../fixtures/classic-tree.ts";
import { describeCorpus } from "./corpus.ts";
import { app, bent, directoryOf, revisionOf, tagDirectoryOf, tagOf } from "./paths.ts";

const nowhere = digestOf(Buffer.from("nowhere"));
const bentParts = [bent.manifest, bent.config, bent.layer, ...bent.rest];

describeCorpus("tags", [
  {
    name: "a zero-byte tag: nothing of the repository goes by policy",
    bend(tree) {
      tree.put(tagOf("bent"), "");
      return {
        odd: [["unreadable-tag", tagOf("bent")]],
        stays: baseGarbage.untagged,
        verify: 1,
      };
    },
  },
  {
    name: "a truncated tag",
    bend(tree) {
      tree.put(tagOf("bent"), bent.manifest.slice(0, 30));
      return {
        odd: [["unreadable-tag", tagOf("bent")]],
        stays: baseGarbage.untagged,
        verify: 1,
      };
    },
  },
  {
    name: "a tag that cannot be read at all",
    bend(tree) {
      tree.delete(tagOf("bent"));
      symlinkSync("link", tree.root + tagOf("bent"));
      return {
        odd: [["unreadable-tag", tagOf("bent")]],
        stays: baseGarbage.untagged,
        verify: 1,
      };
    },
  },
  {
    name: "a tag to a missing revision",
    bend(tree) {
      tree.delete(revisionOf(bent.manifest));
      // Bytes and layers are garbage then, as the classic registry sees it too.
      return { odd: [["dangling-tag", tagOf("bent")]], goes: bentParts, verify: 1 };
    },
  },
  {
    name: "a tag to a digest that is nowhere",
    bend(tree) {
      tree.put(tagOf("lost"), nowhere);
      return { odd: [["dangling-tag", tagOf("lost")]], verify: 1 };
    },
  },
  {
    name: "a tag to a blob that is no manifest",
    bend(tree) {
      tree.put(tagOf("lost"), base.shared.digest);
      return { odd: [["dangling-tag", tagOf("lost")]], verify: 1 };
    },
  },
  {
    name: "a tag by another algorithm",
    bend(tree) {
      tree.put(tagOf("lost"), `sha384:${"ab".repeat(48)}`);
      return {
        odd: [["unreadable-tag", tagOf("lost")]],
        stays: baseGarbage.untagged,
        verify: 1,
      };
    },
  },
  {
    name: "a tag without a current link",
    bend(tree) {
      tree.delete(`${tagDirectoryOf("bent")}/current`);
      return { odd: [["dangling-tag", tagOf("bent")]], goes: bentParts, verify: 1 };
    },
  },
  {
    name: "a directory in the place of a tag's link",
    bend(tree) {
      tree.delete(tagOf("bent"));
      tree.put(`${tagOf("bent")}/x`, "");
      return { odd: [["dangling-tag", tagOf("bent")]], goes: bentParts, verify: 1 };
    },
  },
  {
    name: "a directory among the tags whose name is no tag",
    bend(tree) {
      const path = `${directoryOf(app)}/_manifests/tags/-not a tag`;
      tree.put(`${path}/current/link`, base.overwritten.manifest.digest);
      return { odd: [["unreadable-tag", path]], stays: baseGarbage.untagged, verify: 1 };
    },
  },
  {
    name: "a file among the tags",
    bend(tree) {
      const path = `${directoryOf(app)}/_manifests/tags/.DS_Store`;
      tree.put(path, "");
      return { odd: [["unknown-name", path]] };
    },
  },
  {
    name: "a tag of 128 characters, and one with a name that only a file system allows",
    bend(tree) {
      const longest = "x".repeat(128);
      tree.put(tagOf(longest), bent.manifest);
      const tooLong = `${directoryOf(app)}/_manifests/tags/${"x".repeat(129)}`;
      tree.put(`${tooLong}/current/link`, bent.manifest);
      return {
        odd: [["unreadable-tag", tooLong]],
        stays: baseGarbage.untagged,
        pulls: [`team/app:${longest}`],
        verify: 1,
      };
    },
  },
  {
    name: "no tags directory, but revisions (3.x sweeps their blobs and leaves the links)",
    bend(tree) {
      tree.delete(`${directoryOf("deep/er/and/deeper/app")}/_manifests/tags`);
      const { manifest, config, layers } = base.deep;
      return {
        odd: [["missing-directory", "deep/er/and/deeper/app/_manifests/tags"]],
        // Untagged now: it stays without -m, and goes with it.
        goes: [manifest, config, ...layers].map(({ digest }) => digest),
      };
    },
  },
]);
