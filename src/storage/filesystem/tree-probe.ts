// Looks at the tree again, synchronously: the index writer asks from inside its transaction (INV-8).
// Never writes. A disk that cannot be read is an error, and never "not there" (INV-7).
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Digest } from "../../oci/index.ts";
import type { TreePlace, TreeProbe } from "../../registry/ports/index.ts";
import { blobDataPath, repositoryDirectory, treePlacePath } from "../layout.ts";
import { AliasGuard } from "./alias-guard.ts";
import { isAbsent, systemCode, toStorageError } from "./system-error.ts";

/** A link is at most 135 bytes; of a file that is longer, this much shows that it is none. */
const linkBytesMax = 1024;

export class FilesystemTreeProbe implements TreeProbe {
  readonly #root: string;
  readonly #aliases: AliasGuard;
  readonly #buffer = Buffer.allocUnsafeSlow(linkBytesMax);

  constructor(rootDirectory: string) {
    this.#root = resolve(rootDirectory);
    this.#aliases = new AliasGuard(this.#root);
  }

  /**
   * A repository has no link: null. Nothing counts as there by a second name that a symbolic link gives to
   * another repository or a part of one, as the walk sees it too. @throws StorageError when the link cannot be read
   */
  link(place: TreePlace): string | null {
    if (place.kind === "repository") return null;
    const path = treePlacePath(place);
    const part = place.kind === "layer" ? "_layers" : "_manifests";
    const directory = `${this.#root}${repositoryDirectory(place.repository)}/${part}`;
    if (this.#aliases.isAlias(directory)) return null;
    try {
      return this.#readStart(path).trim();
    } catch (error) {
      // A directory in the place of a link is not a link.
      if (isAbsent(error) || systemCode(error) === "EISDIR") return null;
      throw toStorageError(`cannot read ${path}`, error);
    }
  }

  /** @throws StorageError when the disk cannot tell */
  blobSizeBytes(digest: Digest): number | null {
    const path = blobDataPath(digest);
    try {
      const found = statSync(`${this.#root}${path}`, { throwIfNoEntry: false });
      return found?.isFile() === true ? found.size : null;
    } catch (error) {
      if (isAbsent(error)) return null;
      throw toStorageError(`cannot look at ${path}`, error);
    }
  }

  #readStart(path: string): string {
    const fd = openSync(`${this.#root}${path}`, "r");
    try {
      let length = 0;
      while (length < linkBytesMax) {
        const read = readSync(fd, this.#buffer, length, linkBytesMax - length, length);
        if (read === 0) break;
        length += read;
      }
      return this.#buffer.toString("utf8", 0, length);
    } finally {
      closeSync(fd);
    }
  }
}
