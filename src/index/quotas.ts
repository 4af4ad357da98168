// Quotas, inside the transactions that add manifests: what is added counts with all that it shares, so it
// is written first and taken back when it is too much. Only growth is refused: whatever a repository holds
// beyond a quota that was lowered stays, can be pushed again, and can be deleted.
import type {
  Measure,
  Quota,
  QuotaUse,
  RepositoryUsage,
  RepositoryUse,
} from "../registry/ports/index.ts";
import type { Sql } from "./sql.ts";
import { usageOf } from "./usage.ts";

const measures: readonly Measure[] = ["bytes", "manifests", "tags"];

/** From here on a client is warned. */
const nearShare = 0.8;

export type WithinQuotas =
  | { readonly over: null; readonly near: readonly QuotaUse[] }
  /** Nothing was changed. */
  | { readonly over: QuotaUse; readonly near: readonly [] };

/**
 * Every acceptance into a repository goes through here (a push, a restore).
 * @param step `begin` makes what is written anyway when it is there already, and names the repository;
 *   `accept` does the rest.
 */
export function withinQuotas(
  sql: Sql,
  quotas: readonly Quota[],
  step: { readonly begin: () => number; readonly accept: (repositoryId: number) => void },
): WithinQuotas {
  if (quotas.length === 0) {
    step.accept(step.begin());
    return { over: null, near: [] };
  }
  sql.run("SAVEPOINT quotas");
  const repositoryId = step.begin();
  const before = useOf(usageOf(sql, repositoryId));
  step.accept(repositoryId);
  const uses = usesOf(quotas, useOf(usageOf(sql, repositoryId)));
  const over = uses.find(({ measure, use, limit }) => use > limit && use > before[measure]);
  if (over !== undefined) sql.run("ROLLBACK TO quotas");
  sql.run("RELEASE quotas");
  if (over !== undefined) return { over, near: [] };
  return { over: null, near: uses.filter(({ use, limit }) => use > 0 && use >= limit * nearShare) };
}

export function blobBytes(sql: Sql): number {
  return sql.get<{ bytes: number }>("SELECT bytes FROM totals")?.bytes ?? 0;
}

function useOf({ logicalBytes, manifests, tags }: RepositoryUsage): RepositoryUse {
  return { bytes: logicalBytes, manifests, tags };
}

function usesOf(quotas: readonly Quota[], now: RepositoryUse): QuotaUse[] {
  return quotas.flatMap((quota) =>
    measures.flatMap((measure) => {
      const limit = quota.limits[measure];
      return limit === undefined ? [] : [{ quota, measure, use: now[measure], limit }];
    }),
  );
}
