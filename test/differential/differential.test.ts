// Random histories written by the classic registry, its own garbage-collect on one copy of the tree and
// ours on another: ours keeps whatever the classic keeps and something refers to, and every tag can be
// pulled from both trees, from either server. And the way back.
// PLIMSOLL_SEED: the first seed. PLIMSOLL_HISTORIES: how many.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "bun:test";

import { listTree, storedDigests } from "../corpus/tree-listing.ts";
import { OurSide } from "../corpus/our-side.ts";
import { describeWith } from "../e2e/clients.ts";
import { configText, copyTree, withClassic } from "../fixtures/classic-tree.ts";
import { lostPulls, pullAll, type Pulls, referencesIn } from "../fixtures/pull-all.ts";
import type { PushClient } from "../support/push-client.ts";
import { classicCommand, run } from "../support/registry-process.ts";
import { History } from "./history.ts";

/** A history takes some seconds; this is for a machine that does much else. */
const historyMsMax = 600_000;
const stepsOfOne = 40;
const histories = Number(process.env["PLIMSOLL_HISTORIES"] ?? 5);
const firstSeed = Number(
  process.env["PLIMSOLL_SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0],
);
const seeds = Array.from({ length: histories }, (_, n) => firstSeed + n);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "differential-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function copyOf(root: string, name: string): Promise<string> {
  const copy = join(directory, name);
  await copyTree(root, copy);
  return copy;
}

/** The classic registry's own collection, which must succeed. */
async function collectClassically(root: string, ...flags: string[]): Promise<void> {
  const configPath = join(directory, "collect.yml");
  writeFileSync(configPath, configText(root, "127.0.0.1:0"));
  const result = await run([...classicCommand, "garbage-collect", ...flags, configPath]);
  expect(result.exitCode, result.stderr).toBe(0);
}

async function served<Result>(
  ours: OurSide,
  body: (http: PushClient) => Promise<Result>,
): Promise<Result> {
  const { http, serving } = await ours.serve();
  try {
    return await body(http);
  } finally {
    await serving.stop();
  }
}

function stored(root: string): ReadonlySet<string> {
  return new Set(storedDigests(listTree(root)));
}

/** Every digest that a pull of a tag reads, of whatever registry. */
function referred(pulls: Pulls): Set<string> {
  return new Set([...pulls.values()].flatMap((digests) => [...digests]));
}

/** Every tag of the history can be pulled, whole. */
function expectTagged(pulls: Pulls, history: History): void {
  for (const [reference, digest] of history.tagged) {
    expect([...(pulls.get(reference) ?? [])], reference).toContain(digest);
  }
}

describeWith(["docker-registry"], "differential", () => {
  test.each(seeds)(
    "a history of the classic registry's, collected by both (seed %d)",
    async (seed) => {
      console.log(`PLIMSOLL_SEED=${seed}`);
      const root = join(directory, "root");
      const { before, history } = await withClassic(root, async (http) => {
        const played = new History(http, seed);
        await played.play(stepsOfOne);
        return { history: played, before: await pullAll(http, referencesIn(root)) };
      });
      expectTagged(before, history);
      const references = [...before.keys()];
      const classic = await copyOf(root, "classic");
      const untouched = stored(root);

      for (const untagged of [false, true]) {
        const flags = untagged ? ["-m"] : [];
        const mine = await copyOf(root, untagged ? "mine-m" : "mine");
        const ours = new OurSide(mine);
        // Its bytes are younger than the grace: without being asked, ours spares them.
        const careful = await ours.collect({ untagged, graceMs: 3_600_000 });
        expect(careful.exitCode).toBe(0);
        const spared = [...untouched].filter((digest) => !stored(mine).has(digest));
        const names = await collectAndCompare({ ours, mine, classic, untagged, flags, before });
        expect(spared.filter((digest) => names.has(digest))).toEqual([]);

        const pulled = await served(ours, (http) => pullAll(http, references, { isStrict: true }));
        expect(lostPulls(before, pulled), "ours after ours").toEqual([]);
        const back = await withClassic(mine, (http) => pullAll(http, references));
        expect(lostPulls(before, back), "the classic after ours").toEqual([]);
        expect(await ours.verify(true)).toMatchObject({ exitCode: 0, problems: [], findings: [] });
      }
      await expectServedByOurs(classic, references);
    },
    historyMsMax,
  );

  test.each(seeds)(
    "a history of ours, collected by both (seed %d)",
    async (seed) => {
      console.log(`PLIMSOLL_SEED=${seed}`);
      const root = join(directory, "root");
      const ours = new OurSide(root);
      const { before, history } = await served(ours, async (http) => {
        const played = new History(http, seed);
        for (let round = 0; round < 3; round++) {
          await played.play(stepsOfOne / 4);
          expect((await ours.collect({ untagged: round === 1 })).exitCode).toBe(0);
          await played.play(stepsOfOne / 4);
        }
        return { history: played, before: await pullAll(http, [...played.tagged.keys()]) };
      });
      expectTagged(before, history);
      const references = [...before.keys()];
      expect(referencesIn(root)).toEqual(references.toSorted());
      const back = await withClassic(root, (http) => pullAll(http, references));
      expect(lostPulls(before, back), "the classic after a clean stop").toEqual([]);
      await collectClassically(root);
      const after = await withClassic(root, (http) => pullAll(http, references));
      expect(lostPulls(before, after), "after the classic's own collection").toEqual([]);
      await expectServedByOurs(root, references, before);
    },
    historyMsMax,
  );
});

interface Comparing {
  readonly ours: OurSide;
  readonly mine: string;
  readonly classic: string;
  readonly untagged: boolean;
  readonly flags: readonly string[];
  readonly before: Pulls;
}

/** Collects on both copies. Returns what the tags lead to. */
async function collectAndCompare(comparing: Comparing): Promise<ReadonlySet<string>> {
  const { ours, mine, classic, untagged, flags, before } = comparing;
  await collectClassically(classic, ...flags);
  expect((await ours.collect({ untagged })).exitCode).toBe(0);
  const names = referred(before);
  const kept = stored(classic);
  const here = stored(mine);
  const missing = [...kept].filter((digest) => names.has(digest) && !here.has(digest));
  expect(missing, "kept by the classic and needed, not by ours").toEqual([]);
  // The other way round: ours keeps nothing that nobody refers to. The classic's -m takes the children
  // of lists too, and both keep untagged manifests without it.
  if (untagged) expect([...here].sort()).toEqual([...names].sort());
  else expect([...here].filter((digest) => !kept.has(digest))).toEqual([]);
  return names;
}

/** Ours serves what the classic registry's collection has left, as the classic does. */
async function expectServedByOurs(
  root: string,
  references: readonly string[],
  due?: Pulls,
): Promise<void> {
  const classic = due ?? (await withClassic(root, (http) => pullAll(http, references)));
  const pulled = await served(new OurSide(root), (http) =>
    pullAll(http, references, { isStrict: true }),
  );
  expect(lostPulls(classic, pulled), "ours after the classic").toEqual([]);
}
