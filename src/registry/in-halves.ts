// A batch that is too much for a full disk, in parts that are not: the index keeps space for small changes.
// Never for what clients add.
import { StorageError } from "./ports/storage.ts";

/** Acts on all items at once, or, where the disk is too full for that, on halves, down to one by one. */
export async function inHalves<Item, Result>(
  items: readonly Item[],
  act: (part: readonly Item[]) => Promise<Result>,
): Promise<Result[]> {
  try {
    return [await act(items)];
  } catch (error) {
    if (!isFull(error) || items.length < 2) throw error;
  }
  const middle = items.length >> 1;
  return [
    ...(await inHalves(items.slice(0, middle), act)),
    ...(await inHalves(items.slice(middle), act)),
  ];
}

export function isFull(error: unknown): boolean {
  return error instanceof StorageError && error.code === "full";
}
