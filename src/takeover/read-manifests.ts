// Reads the content of manifests out of a tree: each digest once, as long as there is room to remember it
// (many repositories hold the same ones). Bytes that are not those of the digest are unreadable (INV-7).
import {
  algorithmOf,
  type Digest,
  digestOf,
  manifestBytesMax,
  type ParsedManifest,
  readStoredManifest,
} from "../oci/index.ts";
import { blobDataPath } from "../storage/layout.ts";
import { reasonOf } from "./problems.ts";
import type { TreeReader } from "./tree-reader.ts";

export type ManifestContent =
  | { readonly status: "read"; readonly manifest: ParsedManifest; readonly sizeBytes: number }
  | { readonly status: "unreadable"; readonly reason: string; readonly sizeBytes: number }
  | { readonly status: "absent" };

/** References remembered, all manifests together: about 20 MB. */
const rememberedMax = 100_000;

export class ManifestReader {
  readonly #reader: TreeReader;
  readonly #remembered = new Map<Digest, ManifestContent>();
  #references = 0;

  constructor(reader: TreeReader) {
    this.#reader = reader;
  }

  read(digest: Digest): ManifestContent {
    const known = this.#remembered.get(digest);
    if (known !== undefined) return known;
    const content = this.#look(digest);
    const weight = content.status === "read" ? 1 + content.manifest.references.length : 1;
    if (this.#references + weight > rememberedMax) {
      this.#remembered.clear();
      this.#references = 0;
    }
    this.#remembered.set(digest, content);
    this.#references += weight;
    return content;
  }

  #look(digest: Digest): ManifestContent {
    let bytes: Uint8Array | null;
    try {
      bytes = this.#reader.bytes(blobDataPath(digest), manifestBytesMax);
    } catch (error) {
      return { status: "unreadable", reason: reasonOf(error), sizeBytes: 0 };
    }
    if (bytes === null) return { status: "absent" };
    const sizeBytes = bytes.byteLength;
    if (sizeBytes > manifestBytesMax) {
      const reason = `has more than ${manifestBytesMax} bytes`;
      return { status: "unreadable", reason, sizeBytes };
    }
    if (digestOf(bytes, algorithmOf(digest)) !== digest) {
      const reason = `its ${sizeBytes} bytes have another digest`;
      return { status: "unreadable", reason, sizeBytes };
    }
    try {
      return { status: "read", manifest: readStoredManifest(bytes), sizeBytes };
    } catch (error) {
      return { status: "unreadable", reason: reasonOf(error), sizeBytes };
    }
  }
}
