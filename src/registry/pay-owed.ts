// Makes the tree follow an index that is gone: what it owed is known, and nothing can be cleared any more.
import type { RedoRecord } from "./ports/index.ts";
import type { Storage } from "./ports/storage.ts";
import type { Reports } from "./services.ts";
import { TreeFollower } from "./tree-follower.ts";

/** @throws StorageError when not all of it could be written. */
export async function payOwed(
  owed: readonly RedoRecord[],
  parts: { readonly storage: Storage; readonly reports: Reports },
): Promise<void> {
  let left = [...owed];
  const index = {
    pendingRedo: (limit: number) => Promise.resolve(left.slice(0, limit)),
    newestRedo: () => Promise.resolve(left.at(-1)?.version ?? 0),
    clearRedo: (records: readonly RedoRecord[]) => {
      const paid = new Set(records.map(({ version }) => version));
      left = left.filter(({ version }) => !paid.has(version));
      return Promise.resolve();
    },
  };
  await new TreeFollower({ index, ...parts }).catchUp();
}
