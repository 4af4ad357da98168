// How many levels of indexes stand in each other, as far as they are there: whoever pushes an index is told
// before there are so many that walking over them becomes work.
import { namedKind } from "./schema.ts";
import type { Sql } from "./sql.ts";

/**
 * Whether an index of these children would have more levels than that: of images it has one. The longest way
 * down counts, and each manifest is looked at once.
 */
export function isTooDeep(sql: Sql, children: Iterable<number>, levelsMax: number): boolean {
  const levels = new Map<number, number>();
  /** The most of them; more than `left`: how many then does not matter, for it is too many all the way up. */
  const below = (ids: Iterable<number>, left: number): number => {
    let most = 0;
    for (const id of ids) {
      const known = levels.get(id) ?? levelsOf(id, left);
      levels.set(id, known);
      most = Math.max(most, known);
      if (most > left) break;
    }
    return most;
  };
  const levelsOf = (id: number, left: number): number => {
    const ids = childrenOf(sql, id);
    if (ids.length === 0) return 0;
    return left === 0 ? 1 : 1 + below(ids, left - 1);
  };
  return 1 + below(children, levelsMax - 1) > levelsMax;
}

function childrenOf(sql: Sql, manifestId: number): readonly number[] {
  return sql
    .all<{ id: number }>(
      `SELECT blob_id AS id FROM named WHERE manifest_id = ? AND kind = ${namedKind.manifest}`,
      manifestId,
    )
    .map(({ id }) => id);
}
