// The board, the alerts and the documentation speak of metrics that exist, and the documentation of all
// of them. (promtool checks more: test/e2e/promtool.test.ts.)
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { samplesIn, startServed } from "./served.ts";

const project = join(import.meta.dir, "../..");
const read = (path: string): string => readFileSync(join(project, path), "utf8");

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly annotations: { readonly summary: string; readonly description: string };
    }[];
  }[];
}
interface Board {
  readonly panels: readonly {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}

const rules = (parse(read("deploy/prometheus/alerts.yml")) as Rules).groups.flatMap(
  (group) => group.rules,
);
const board = JSON.parse(read("deploy/grafana/plimsoll.json")) as Board;
const boardExpressions = board.panels.flatMap((panel) => panel.targets ?? []);

/** Names of metrics, without what a histogram adds to its own. */
function metricsIn(text: string): Set<string> {
  const names = text.match(/\b(?:plimsoll|process|nodejs)_[a-z0-9_]+/g) ?? [];
  return new Set(names.map((name) => name.replace(/_(?:bucket|sum|count)$/, "")));
}

async function scraped(): Promise<{ names: Set<string>; text: string }> {
  await using served = await startServed();
  await (await fetch(`${served.origin}/v2/a/manifests/x`)).text();
  const text = await served.debug("/metrics");
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = ""]) => name);
  return { names: new Set(names), text };
}

describe("what is delivered with it", () => {
  test("alerts and board use metrics that exist, by endpoints that exist", async () => {
    const { names, text } = await scraped();
    const used = [...rules, ...boardExpressions].map(({ expr }) => expr);
    expect(used.length).toBeGreaterThan(30);
    for (const expression of used) {
      for (const name of metricsIn(expression))
        expect([expression, names.has(name)]).toEqual([expression, true]);
      for (const [label] of expression.matchAll(/route="[^"]*"/g)) expect(text).toContain(label);
    }
  });

  test("every alert says what it means and what to do", () => {
    for (const { alert, annotations } of rules) {
      expect(alert).toMatch(/^Plimsoll[A-Z]/);
      expect(annotations.summary.length).toBeGreaterThan(20);
      expect(annotations.description.length).toBeGreaterThan(20);
    }
  });

  test("the documentation lists the metrics that there are, and no other", async () => {
    const { names, text } = await scraped();
    const rows = read("docs/observability.md").matchAll(/^\| `([a-z]\w+)` \|/gm);
    const listed = new Set([...rows].map(([, name = ""]) => name));
    const own = [...names].filter((name) => name.startsWith("plimsoll_"));
    expect([...listed].filter((name) => name.startsWith("plimsoll_")).sort()).toEqual(own.sort());
    for (const name of listed) expect(names).toContain(name);
    // By Prometheus' conventions.
    for (const name of own) expect(name).toMatch(/^plimsoll_[a-z_]+$/);
    for (const [, name = ""] of text.matchAll(/^# TYPE (plimsoll_\S+) counter/gm)) {
      expect(name).toEndWith("_total");
    }
    expect(samplesIn(text).length).toBeGreaterThan(50);
  });
});
