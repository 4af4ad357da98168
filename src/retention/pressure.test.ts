import { describe, expect, test } from "bun:test";
import { builds, dayMs, hourMs, rule } from "../../test/retention/builds.ts";
import { SmallRegistry } from "../../test/retention/registry.ts";
import type { Index } from "../registry/ports/index.ts";
import { Retention } from "./retention.ts";

const never = new AbortController().signal;

describe("under pressure", () => {
  async function filled(): Promise<SmallRegistry> {
    const registry = await new SmallRegistry().open();
    await builds(registry, "a", 4);
    await builds(registry, "b", 4);
    await builds(registry, "calm", 4);
    return registry;
  }
  const rules = [
    rule({ name: "calm", repositories: ["calm"], newest: 1 }),
    rule({ name: "pressed", newest: 1, onPressure: true }),
  ];

  test("goes over all repositories, what was pulled longest ago first, no further than needed", async () => {
    const registry = await filled();
    // a was pushed first; its build-1 is used all the same.
    await registry.pull("a", "build-1");
    registry.world.nowMs += hourMs;
    await registry.pull("a", "build-2");
    const gone: string[][] = [];
    const wrap = new Proxy(registry.parts.index, {
      get: (target, key) => {
        const method: unknown = Reflect.get(target, key);
        if (key !== "retireImages") return method;
        return async (work: Parameters<Index["retireImages"]>[0]) => {
          gone.push(
            work.images.flatMap(({ tags }) => tags.map((one) => `${work.repository}:${one.tag}`)),
          );
          return await target.retireImages(work);
        };
      },
    });
    const retention = new Retention({ ...registry.parts, index: wrap });
    let asked = 0;
    const isEnough = (): Promise<boolean> => {
      asked += 1;
      return Promise.resolve(asked > 3);
    };
    await retention.applyUnderPressure(rules, isEnough, never);
    expect(gone).toEqual([
      ["a:build-3"],
      ["b:build-1"],
      ["b:build-2"],
      ["b:build-3"],
      ["a:build-1"],
      ["a:build-2"],
    ]);
    expect(await registry.tags("calm")).toHaveLength(4);
  });

  test("asks after one image, then after twice as many each time, and stops when it is enough", async () => {
    const registry = await new SmallRegistry().open();
    await builds(registry, "a", 100);
    const left: number[] = [];
    const isEnough = async (): Promise<boolean> => {
      left.push((await registry.tags("a")).length);
      return left.length === 7;
    };
    await registry.retention.applyUnderPressure(rules, isEnough, never);
    expect(left).toEqual([99, 97, 93, 85, 69, 49, 29]);
    expect(await registry.tags("a")).not.toContain("build-1");
  });

  test("holds those that were used longest ago, of more than it can hold", async () => {
    const registry = await new SmallRegistry().open();
    await builds(registry, "a", 1_050);
    await registry.retention.applyUnderPressure(rules, () => Promise.resolve(true), never);
    const left = await registry.tags("a");
    expect(left).toHaveLength(1_049);
    expect(left).not.toContain("build-1");
  });

  test("untagged manifests that a rule lets go come first", async () => {
    const registry = await new SmallRegistry().open();
    await builds(registry, "a", 3);
    await registry.world.image("a", { blobs: [9], tags: ["build-3"] });
    registry.world.nowMs += 2 * dayMs;
    const pressed = rule({ newest: 1, untaggedOlderThanMs: dayMs, onPressure: true });
    await registry.retention.applyUnderPressure([pressed], () => Promise.resolve(true), never);
    expect(await registry.tags("a")).toHaveLength(3);
    expect((await registry.index.totals()).manifests).toBe(3);
  });

  test("ends when nothing more goes, though it is not enough", async () => {
    const registry = await filled();
    await registry.retention.applyUnderPressure(rules, () => Promise.resolve(false), never);
    expect([await registry.tags("a"), await registry.tags("b")]).toEqual([
      ["build-4"],
      ["build-4"],
    ]);
  });
});
