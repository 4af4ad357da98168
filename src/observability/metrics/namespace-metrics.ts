// Usage by the first part of repositories' names: the largest fifty, and all others together. Every
// repository is looked at for it, in short pages and at most once a minute, whoever reads how often.
import { Gauge, type Registry } from "prom-client";
import type { NamedUsage, UsageIndex } from "../../registry/ports/index.ts";

const toldMax = 50;
/** Held in memory while they are counted; the rest counts as others. */
const countedMax = 2_000;
const pageMax = 200;
const freshMs = 60_000;
/** No repository can be called like that. */
const others = "(other)";

export interface NamespaceParts {
  readonly index: Pick<UsageIndex, "scanRepositoryUsage">;
  readonly now: () => number;
}

interface Sum {
  repositories: number;
  manifests: number;
  logicalBytes: number;
  exclusiveBytes: number;
}

export class NamespaceMetrics {
  readonly #parts: NamespaceParts;
  readonly #gauges: Readonly<Record<keyof Sum, Gauge<"namespace">>>;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: NamespaceParts, register: Registry) {
    this.#parts = parts;
    const gauge = (name: string, help: string): Gauge<"namespace"> =>
      new Gauge({
        name: `plimsoll_namespace_${name}`,
        help: `${help} By the first part of the name: the ${toldMax} largest, and "${others}".`,
        labelNames: ["namespace"],
        registers: [register],
      });
    this.#gauges = {
      repositories: gauge("repositories", "Repositories."),
      manifests: gauge("manifests", "Manifests."),
      logicalBytes: gauge("logical_bytes", "What the repositories hold, summed over them."),
      exclusiveBytes: gauge(
        "exclusive_bytes",
        "What one repository alone holds, summed over them.",
      ),
    };
  }

  /** Not to be called twice at once. @throws what the index throws; then it is tried again next time. */
  async read(): Promise<void> {
    const nowMs = this.#parts.now();
    if (nowMs - this.#readAtMs < freshMs) return;
    const told = largest(await this.#sums());
    for (const gauge of Object.values(this.#gauges)) gauge.reset();
    for (const [namespace, sum] of told) {
      for (const [key, gauge] of Object.entries(this.#gauges)) {
        gauge.set({ namespace }, sum[key as keyof Sum]);
      }
    }
    this.#readAtMs = nowMs;
  }

  async #sums(): Promise<Map<string, Sum>> {
    const sums = new Map<string, Sum>();
    for (let after: string | null = null; ;) {
      const page = await this.#parts.index.scanRepositoryUsage({ after, limit: pageMax });
      for (const usage of page.rows) {
        const [first = ""] = usage.repository.split("/", 1);
        add(sums, sums.has(first) || sums.size < countedMax ? first : others, usage);
      }
      after = page.next;
      if (after === null) return sums;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function add(sums: Map<string, Sum>, namespace: string, usage: NamedUsage): void {
  const sum = sums.get(namespace) ?? zero();
  sum.repositories += usage.manifests > 0 ? 1 : 0;
  sum.manifests += usage.manifests;
  sum.logicalBytes += usage.logicalBytes;
  sum.exclusiveBytes += usage.exclusiveBytes;
  sums.set(namespace, sum);
}

function zero(): Sum {
  return { repositories: 0, manifests: 0, logicalBytes: 0, exclusiveBytes: 0 };
}

function largest(sums: Map<string, Sum>): Map<string, Sum> {
  const named = [...sums].filter(([namespace, sum]) => namespace !== others && sum.manifests > 0);
  named.sort(([, a], [, b]) => b.logicalBytes - a.logicalBytes);
  const told = new Map(named.slice(0, toldMax));
  const rest = [...named.slice(toldMax).map(([, sum]) => sum), sums.get(others) ?? zero()];
  const sum = zero();
  for (const one of rest) {
    for (const key of Object.keys(sum) as (keyof Sum)[]) sum[key] += one[key];
  }
  if (sum.repositories > 0) told.set(others, sum);
  return told;
}
