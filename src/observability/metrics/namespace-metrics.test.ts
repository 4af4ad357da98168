// However many namespaces there are, few are told of, and nothing is lost in the sum.
import { describe, expect, test } from "bun:test";
import { Registry } from "prom-client";
import type { NamedUsage, Scan } from "../../registry/ports/index.ts";
import { repo } from "../../../test/contract/index/world.ts";
import { NamespaceMetrics } from "./namespace-metrics.ts";

function usage(name: string, bytes: number): NamedUsage {
  const repository = repo(name);
  return { repository, manifests: 1, tags: 1, logicalBytes: bytes, exclusiveBytes: bytes / 2 };
}

class World {
  nowMs = 1_000_000;
  scans = 0;
  readonly register = new Registry();
  readonly metrics: NamespaceMetrics;

  constructor(readonly repositories: NamedUsage[]) {
    const index = {
      scanRepositoryUsage: ({ after, limit }: { after: string | null; limit: number }) => {
        this.scans += 1;
        const from = after === null ? 0 : Number(after);
        const rows = this.repositories.slice(from, from + limit);
        const next = rows.length < limit ? null : String(from + limit);
        return Promise.resolve<Scan<NamedUsage>>({ rows, next });
      },
    };
    this.metrics = new NamespaceMetrics({ index, now: () => this.nowMs }, this.register);
  }

  async told(metric: string): Promise<Map<string, number>> {
    await this.metrics.read();
    const text = await this.register.metrics();
    const lines = text.matchAll(/^plimsoll_namespace_(\w+)\{namespace="([^"]*)"\} (\d+)$/gm);
    const found = new Map<string, number>();
    for (const [, name = "", namespace = "", value = ""] of lines) {
      if (name === metric) found.set(namespace, Number(value));
    }
    return found;
  }
}

describe("usage by namespace", () => {
  test("sums what lies below the first part of the name", async () => {
    const all = [usage("a", 2), usage("b/x", 10), usage("b/y/z", 20), usage("c/d", 4)];
    const world = new World(all);
    expect(await world.told("logical_bytes")).toEqual(
      new Map([
        ["b", 30],
        ["c", 4],
        ["a", 2],
      ]),
    );
    expect(await world.told("repositories")).toEqual(
      new Map([
        ["b", 2],
        ["c", 1],
        ["a", 1],
      ]),
    );
    expect((await world.told("exclusive_bytes")).get("b")).toBe(15);
  });

  test("of thousands, the largest fifty and all others together", async () => {
    const count = 5_000;
    const all = Array.from({ length: count }, (_, n) => usage(`n${n}/app`, 2 * (n + 1)));
    const world = new World(all);
    const bytes = await world.told("logical_bytes");
    expect(bytes.size).toBe(51);
    const sum = [...bytes.values()].reduce((a, b) => a + b, 0);
    expect(sum).toBe(count * (count + 1));
    const repositories = [...(await world.told("repositories")).values()];
    expect(repositories.reduce((a, b) => a + b, 0)).toBe(count);
  });

  test("is looked up once a minute, and what is gone is not told of any more", async () => {
    const world = new World([usage("a/x", 2), usage("b/x", 4)]);
    await world.told("manifests");
    await world.told("manifests");
    expect(world.scans).toBe(1);
    world.repositories.splice(0, 1);
    world.nowMs += 60_000;
    expect(await world.told("manifests")).toEqual(new Map([["b", 1]]));
  });
});
