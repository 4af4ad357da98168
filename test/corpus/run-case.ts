// Carries one case of the corpus out: takeover by verify, then, beside a server that has compared the tree
// once more, dry runs, collections without and with `-m`, one more with `--full`, pulls after each, verify
// again; then back to the classic registry.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "bun:test";

import type { TreeProblem } from "../../src/registry/ports/index.ts";
import { run } from "../support/registry-process.ts";
import { baseGarbage, copyTree, withClassic } from "../fixtures/classic-tree.ts";
import { lostPulls, pullAll, type Pulls, referencesIn } from "../fixtures/pull-all.ts";
import { Tree } from "../takeover/tree.ts";
import type { CorpusCase, Odd, Outcome } from "./corpus-case.ts";
import { type Collected, OurSide } from "./our-side.ts";
import { listTree, storedDigests, type TreeListing, wrongChanges } from "./tree-listing.ts";

interface Bent {
  readonly tree: Tree;
  readonly outcome: Outcome;
  readonly listing: TreeListing;
}

async function bentCopy(baseRoot: string, corpusCase: CorpusCase): Promise<Bent> {
  const tree = new Tree(mkdtempSync(join(tmpdir(), "corpus-")));
  await copyTree(baseRoot, tree.root);
  const outcome = corpusCase.bend(tree);
  // What has just changed may be somebody's write under way, and is not called odd.
  // What lies too deep to be touched stays as it is.
  await run(["find", tree.root, "-exec", "touch", "-h", "-d", "3 hours ago", "{}", "+"]);
  return { tree, outcome, listing: listTree(tree.root) };
}

export async function runCase(baseRoot: string, corpusCase: CorpusCase): Promise<void> {
  const bent = await bentCopy(baseRoot, corpusCase);
  try {
    await takeOverAndServe(bent);
  } finally {
    bent.tree.remove();
  }
}

async function takeOverAndServe({ tree, outcome, listing }: Bent): Promise<void> {
  const { root } = tree;
  const references = [...new Set([...referencesIn(root), ...(outcome.pulls ?? [])])];
  const classic = await withClassic(root, (http) => pullAll(http, references));
  const due = without(classic, outcome.unserved ?? []);
  const ours = new OurSide(root);

  const verified = await ours.verify(true);
  expectOdd(verified.problems, outcome.odd ?? [], "verify");
  expect(verified.findings.filter((finding) => finding.startsWith("difference"))).toEqual([]);
  expect(verified.exitCode, `verify: ${verified.findings.join("\n")}`).toBe(outcome.verify ?? 0);

  const { http, serving } = await ours.serve();
  try {
    const first = await pullAll(http, references, { isStrict: true });
    expect(lostPulls(due, first), "pulled from the classic registry, not from ours").toEqual([]);
    for (const reference of outcome.pulls ?? []) expect([...first.keys()]).toContain(reference);

    for (const path of outcome.visits ?? []) {
      expect([200, 404], path).toContain(await http.statusOf(path));
    }

    const plainPlan = await ours.collect({ dryRun: true });
    const untaggedPlan = await ours.collect({ dryRun: true, untagged: true });
    // That something cannot be removed shows when it is tried.
    expect(plainPlan.exitCode).toBe(outcome.fails === undefined ? (outcome.collect ?? 0) : 0);
    const planned = listTree(root);
    expect(wrongChanges(listing, planned)).toEqual([]);
    const removed = [...listing.keys()].filter((path) => !planned.has(path));
    expect(removed, "a dry run removes nothing").toEqual([]);

    const plain = await ours.collect();
    expectCollected(plain, outcome, plainPlan.eligible);
    expect(lostPulls(first, await pullAll(http, references)), "lost by a collection").toEqual([]);
    const untagged = await ours.collect({ untagged: true });
    const both = [...new Set([...plain.eligible, ...untagged.eligible])].sort();
    expect(both, "what -m takes is what its dry run says").toEqual([...untaggedPlan.eligible]);
    expect(untagged.exitCode).toBe(outcome.collect ?? 0);
    const last = await ours.collect({ untagged: true, full: true });
    const failing = (outcome.fails ?? []).map((digest) => `blob ${digest}`);
    expect(last.eligible, "a second collection finds nothing").toEqual(failing);
    expect(last.report.errors.length).toBe(outcome.collect ?? 0);
    expect(last.report).toMatchObject({ blobs: 0, manifests: 0, links: 0, repositories: 0 });
    expect(last.report.queueMissed ?? 0).toBe(0);
    expect(lostPulls(first, await pullAll(http, references)), "lost by -m").toEqual([]);
    const after = await ours.verify(true);
    expect(after.findings.filter((finding) => finding.startsWith("difference"))).toEqual([]);
    // What was odd about garbage has gone with it.
    expect(after.exitCode).toBeLessThanOrEqual(outcome.verify ?? 0);
  } finally {
    await serving.stop();
  }
  const left = listTree(root);
  expectStored(listing, left, outcome);
  const back = await withClassic(root, (client) => pullAll(client, references));
  expect(lostPulls(classic, back), "cannot be pulled from the classic registry any more").toEqual(
    [],
  );
}

function expectCollected(collected: Collected, outcome: Outcome, plan: readonly string[]): void {
  expect(collected.exitCode, collected.report.errors.join("\n")).toBe(outcome.collect ?? 0);
  expect(collected.eligible, "what goes is what the dry run says").toEqual([...plan]);
  const told = new Set(collected.steppedOver.map(({ kind, path }) => `${kind} ${path}`));
  for (const [kind, pathEnd, only] of outcome.odd ?? []) {
    if (only === "verify") continue;
    const isTold = [...told].some((text) => text.startsWith(`${kind} `) && text.endsWith(pathEnd));
    expect(isTold, `stepped over: ${kind} ${pathEnd}`).toBe(true);
  }
}

/** All that is odd is reported, and nothing else. */
function expectOdd(problems: readonly TreeProblem[], odd: readonly Odd[], where: string): void {
  const left = problems.map(({ kind, path }) => `${kind} ${path}`);
  const missing: string[] = [];
  for (const [kind, pathEnd] of odd) {
    const at = left.findIndex((text) => text.startsWith(`${kind} `) && text.endsWith(pathEnd));
    if (at === -1) missing.push(`${kind} ${pathEnd}`);
    else left.splice(at, 1);
  }
  expect({ missing, unexpected: left }, where).toEqual({ missing: [], unexpected: [] });
}

/** Nothing but garbage is gone, all of it is, and nothing else has changed. */
function expectStored(before: TreeListing, after: TreeListing, outcome: Outcome): void {
  const { goes = [], stays = [] } = outcome;
  const garbage = stays === "all" ? [] : [...baseGarbage.plain, ...baseGarbage.untagged];
  const due = new Set([...garbage.filter((digest) => !stays.includes(digest)), ...goes]);
  const kept = new Set(storedDigests(after));
  const gone = storedDigests(before).filter((digest) => !kept.has(digest));
  expect(gone.sort()).toEqual([...due].sort());
  expect(wrongChanges(before, after)).toEqual([]);
}

function without(pulls: Pulls, references: readonly string[]): Pulls {
  return new Map([...pulls].filter(([reference]) => !references.includes(reference)));
}
