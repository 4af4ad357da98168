// Manifests: no JSON, no bytes, children that are missing, nested, of unknown types, with references where
// nobody expects them, of schema 1.
import { digestOf, parseDigest } from "../../src/oci/index.ts";
import { base, baseGarbage } from "../fixtures/classic-tree.ts";
import type { Tree } from "../takeover/tree.ts";
import { describeCorpus } from "./corpus.ts";
import {
  app,
  bent,
  blobDirectoryOf,
  blobOf,
  linkedGarbage,
  layerOf,
  multi,
  old,
  revisionOf,
} from "./paths.ts";

const nowhere = digestOf(Buffer.from("nowhere"));
const ociIndex = "application/vnd.oci.image.index.v1+json";
const ociManifest = "application/vnd.oci.image.manifest.v1+json";
const child = base.index.images[0];
const childParts = [child?.config, ...(child?.layers ?? [])].map((blob) => blob?.digest ?? "");
const childDigest = child?.manifest.digest ?? "";

function descriptor(digest: string, mediaType = "application/octet-stream") {
  return { mediaType, digest, size: 10 };
}

/** Tags any JSON in team/app; what it is must go on being served. */
function plant(tree: Tree, tag: string, body: unknown): void {
  const digest = tree.manifest(app, body);
  tree.tag(app, tag, digest);
}

describeCorpus("manifests", [
  {
    name: "a revision without its blob",
    bend(tree) {
      tree.delete(blobDirectoryOf(bent.manifest));
      return {
        odd: [["dangling-revision", revisionOf(bent.manifest)]],
        goes: [bent.config, bent.layer, ...bent.rest],
        verify: 1,
      };
    },
  },
  {
    name: "a manifest that is not JSON: all of its repository stays",
    bend(tree) {
      const digest = tree.blob("plain text");
      tree.put(revisionOf(digest), digest);
      return {
        odd: [["unreadable-manifest", blobOf(digest)]],
        stays: linkedGarbage,
        verify: 1,
      };
    },
  },
  {
    name: "a manifest that is JSON, but no object",
    bend(tree) {
      const digest = tree.manifest(app, [bent.manifest]);
      return {
        odd: [["unreadable-manifest", blobOf(digest)]],
        stays: linkedGarbage,
        verify: 1,
      };
    },
  },
  {
    name: "a manifest of no bytes",
    bend(tree) {
      tree.put(blobOf(bent.manifest), "");
      return {
        odd: [
          ["missing-data", blobOf(bent.manifest)],
          ["unreadable-manifest", blobOf(bent.manifest)],
          ["dangling-revision", revisionOf(bent.manifest)],
        ],
        stays: linkedGarbage,
        verify: 1,
      };
    },
  },
  {
    name: "a manifest that was cut off",
    bend(tree) {
      tree.put(blobOf(bent.manifest), base.bent.manifest.bytes.subarray(0, 100));
      return {
        odd: [["unreadable-manifest", blobOf(bent.manifest)]],
        stays: linkedGarbage,
        verify: 1,
      };
    },
  },
  {
    name: "a manifest with the bytes of another one",
    bend(tree) {
      tree.put(blobOf(bent.manifest), base.ok.manifest.bytes);
      return {
        odd: [["unreadable-manifest", blobOf(bent.manifest)]],
        stays: linkedGarbage,
        verify: 1,
      };
    },
  },
  {
    name: "a manifest larger than any",
    bend(tree) {
      const digest = tree.blob(Buffer.alloc(5 * 1024 * 1024, "x"));
      tree.put(revisionOf(digest), digest);
      return {
        odd: [["unreadable-manifest", blobOf(digest)]],
        stays: linkedGarbage,
        verify: 1,
      };
    },
  },
  {
    name: "a manifest that nests deeper than any",
    bend(tree) {
      const digest = tree.blob(`${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`);
      tree.put(revisionOf(digest), digest);
      return {
        odd: [["unreadable-manifest", blobOf(digest)]],
        stays: linkedGarbage,
        verify: 1,
      };
    },
  },
  {
    name: "an OCI index with a child whose revision is gone: the others stay",
    bend(tree) {
      tree.delete(revisionOf(childDigest, multi));
      // Its bytes are named by the index and stay; what it named itself is not known any more.
      return { goes: childParts, pulls: ["multi:oci"] };
    },
  },
  {
    name: "an OCI index with a child whose bytes are gone",
    bend(tree) {
      tree.delete(blobDirectoryOf(childDigest));
      return {
        odd: [["dangling-revision", revisionOf(childDigest, multi)]],
        goes: childParts,
        pulls: ["multi:oci"],
        verify: 1,
      };
    },
  },
  {
    name: "a Docker list that has lost all of its children",
    bend(tree) {
      const images = base.list.images;
      for (const { manifest } of images) {
        tree.delete(revisionOf(manifest.digest, multi));
        tree.delete(blobDirectoryOf(manifest.digest));
      }
      const parts = images.flatMap(({ config, layers }) => [config, ...layers]);
      return { goes: parts.map(({ digest }) => digest), pulls: ["multi:docker"] };
    },
  },
  {
    name: "an index whose children were never here",
    bend(tree) {
      plant(tree, "sparse", {
        schemaVersion: 2,
        mediaType: ociIndex,
        manifests: [descriptor(nowhere)],
      });
      return { pulls: ["team/app:sparse"] };
    },
  },
  {
    name: "nested indexes: only the outermost has a tag",
    bend(tree) {
      let digest = parseDigest(base.overwritten.manifest.digest);
      for (let depth = 0; depth < 4; depth++) {
        const manifests = [descriptor(digest, depth === 0 ? ociManifest : ociIndex)];
        digest = tree.manifest(app, { schemaVersion: 2, mediaType: ociIndex, manifests });
      }
      tree.tag(app, "nested", digest);
      return { stays: baseGarbage.untagged, pulls: ["team/app:nested"] };
    },
  },
  {
    name: "indexes that name each other's parts, and none has a tag",
    bend(tree) {
      const inner = tree.manifest(app, {
        schemaVersion: 2,
        mediaType: ociIndex,
        manifests: [descriptor(bent.manifest)],
      });
      const outer = tree.manifest(app, {
        schemaVersion: 2,
        mediaType: ociIndex,
        manifests: [descriptor(inner)],
      });
      return { goes: [inner, outer] };
    },
  },
  {
    name: "an index without a media type (#3178: the classic's -m takes the children)",
    bend(tree) {
      plant(tree, "untyped", {
        schemaVersion: 2,
        manifests: [descriptor(base.overwritten.manifest.digest)],
      });
      return { stays: baseGarbage.untagged, pulls: ["team/app:untyped"] };
    },
  },
  {
    name: "an unknown media type that names a blob in a member of its own",
    bend(tree) {
      const mediaType = "application/vnd.example.thing.v1+json";
      plant(tree, "thing", {
        schemaVersion: 2,
        mediaType,
        parts: [{ inner: { digest: base.lone.digest } }],
      });
      return { stays: [base.lone.digest], pulls: ["team/app:thing"] };
    },
  },
  {
    name: "an OCI artifact manifest: blobs[], no config",
    bend(tree) {
      const mediaType = "application/vnd.oci.artifact.manifest.v1+json";
      plant(tree, "artifact", {
        mediaType,
        artifactType: "x/y",
        blobs: [descriptor(base.lone.digest)],
      });
      return { stays: [base.lone.digest], pulls: ["team/app:artifact"] };
    },
  },
  {
    name: "an image manifest with further members that name blobs, in odd letter case",
    bend(tree) {
      plant(tree, "extra", {
        schemaVersion: 2,
        mediaType: ociManifest,
        config: descriptor(base.ok.config.digest),
        layers: [],
        extra: [{ DIGEST: base.lone.digest }],
      });
      return { stays: [base.lone.digest], pulls: ["team/app:extra"] };
    },
  },
  {
    name: "a digest in an annotation is no reference",
    bend(tree) {
      plant(tree, "annotated", {
        schemaVersion: 2,
        mediaType: ociManifest,
        config: descriptor(base.ok.config.digest),
        layers: [],
        annotations: { digest: base.lone.digest },
      });
      return { pulls: ["team/app:annotated"] };
    },
  },
  {
    name: "a config-less manifest, and null where lists should be",
    bend(tree) {
      plant(tree, "bare", { schemaVersion: 2, mediaType: ociManifest, config: null, layers: null });
      return { pulls: ["team/app:bare"] };
    },
  },
  {
    name: "no mediaType at all, only layers",
    bend(tree) {
      plant(tree, "layers", { schemaVersion: 2, layers: [descriptor(base.lone.digest)] });
      return { stays: [base.lone.digest], pulls: ["team/app:layers"] };
    },
  },
  {
    name: "a referrer before its subject came, and one to a subject that is here",
    bend(tree) {
      const referrer = (subject: string) =>
        tree.manifest(app, {
          schemaVersion: 2,
          mediaType: ociManifest,
          config: descriptor(base.ok.config.digest),
          layers: [descriptor(base.shared.digest)],
          subject: descriptor(subject, ociManifest),
        });
      const early = referrer(nowhere);
      referrer(base.ok.manifest.digest);
      // Untagged and of nothing that is kept: -m takes it, nothing else does.
      return { goes: [early] };
    },
  },
  {
    name: "a schema 1 manifest with its signatures beside the revision (2.0 to 2.3)",
    bend(tree) {
      const { manifest } = base.schema1;
      const signature = tree.blob(JSON.stringify({ signature: "c2ln", protected: "cHJv" }));
      const directory = revisionOf(manifest.digest, old).replace(/link$/, "signatures");
      tree.put(`${directory}/sha256/${signature.slice(7)}/link`, signature);
      return {
        odd: [["unknown-name", directory]],
        // Nothing serves them: 2.5 and later sign anew, and collect them too.
        goes: [signature],
        pulls: ["old/app:v1"],
      };
    },
  },
  {
    name: "a schema 1 manifest stored with its signatures inside",
    bend(tree) {
      plant(tree, "signed", {
        schemaVersion: 1,
        name: "team/app",
        tag: "signed",
        fsLayers: [{ blobSum: base.lone.digest }],
        history: [{ v1Compatibility: "{}" }],
        signatures: [{ header: { alg: "ES256" }, signature: "c2ln", protected: "cHJv" }],
      });
      return { stays: [base.lone.digest], pulls: ["team/app:signed"] };
    },
  },
  {
    name: "an untagged schema 1 manifest goes with -m, its layers too",
    bend(tree) {
      tree.delete(revisionOf(base.schema1.manifest.digest, old).replace(/revisions.*/, "tags"));
      return {
        odd: [["missing-directory", "old/app/_manifests/tags"]],
        goes: [base.schema1.manifest.digest, base.schema1.layer.digest],
      };
    },
  },
  {
    name: "a layer of a tagged image whose link is gone (#2094): it cannot be pulled, and stays",
    bend(tree) {
      tree.delete(layerOf(bent.layer));
      return { verify: 1 };
    },
  },
]);
