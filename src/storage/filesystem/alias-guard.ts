// Tells when a directory is only another name, by an operator's symbolic link, of a directory that has a
// place of its own in the same tree. Nothing may be removed by such a name: what is garbage under one
// name may be needed under the other (INV-7). A link that leads out of the tree is no such name: there
// the directory has merely been moved.
import { realpathSync } from "node:fs";
import { basename } from "node:path";
import { blobsRoot, repositoriesRoot } from "../layout.ts";

export class AliasGuard {
  readonly #root: string;
  #realRoot: string | null = null;

  /** @param root absolute, without a slash at its end. Looks at no disk yet. */
  constructor(root: string) {
    this.#root = root;
  }

  /** False where nothing is. Inline, as a stat is. @param directory absolute, below the root */
  isAlias(directory: string): boolean {
    const real = realPath(directory);
    if (real === null) return false;
    this.#realRoot ??= realPath(this.#root === "" ? "/" : this.#root)?.replace(/\/$/, "") ?? null;
    if (this.#realRoot === null || real === this.#realRoot + directory.slice(this.#root.length)) {
      return false;
    }
    // A directory of one digest is another one's, wherever the two are.
    const isInTree = [blobsRoot, repositoriesRoot].some((place) =>
      real.startsWith(`${this.#realRoot}${place}/`),
    );
    return isInTree || basename(real) !== basename(directory);
  }
}

function realPath(path: string): string | null {
  try {
    return realpathSync.native(path);
  } catch {
    // Not there, or not to be reached: whoever tries to remove something there hears why.
    return null;
  }
}
