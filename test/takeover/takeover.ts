// A tree with its index, compared as a start would compare them, and collected as far as anything goes.
import {
  type Digest,
  isDigestReference,
  parseReference,
  parseRepositoryName,
} from "../../src/oci/index.ts";
import { verifyRoot } from "../../src/compose/verify.ts";
import { KeyedLocks } from "../../src/registry/keyed-locks.ts";
import { FilesystemStorage } from "../../src/storage/filesystem/filesystem-storage.ts";
import type { Index, TreeProblem } from "../../src/registry/ports/index.ts";
import { openIndex } from "../../src/index/sqlite-index.ts";
import { Comparison, type ComparisonReport } from "../../src/takeover/comparison.ts";
import { type VerifyReport, verifyRegistry } from "../../src/takeover/verify.ts";
import type { VerifyEvent, VerifyRequest } from "../../src/takeover/verify-events.ts";
import { findingLine } from "../../src/takeover/verify-lines.ts";
import type { Tree } from "./tree.ts";

interface VerifiedAsOwner {
  readonly code: number;
  readonly report: VerifyReport;
  /** Of the findings. */
  readonly lines: readonly string[];
}

const clock = { now: () => Date.now() };
const forever = new AbortController().signal;

export class Takeover {
  private constructor(
    readonly tree: Tree,
    readonly index: Index,
  ) {}

  static async of(tree: Tree): Promise<Takeover> {
    return new Takeover(tree, await openIndex(tree.indexPath, tree.root));
  }

  async close(): Promise<void> {
    await this.index.close();
    this.tree.remove();
  }

  run(mode: "first-build" | "compare", signal = forever): Promise<ComparisonReport> {
    const { root: rootDirectory, indexPath } = this.tree;
    const comparison = new Comparison({
      index: this.index,
      tree: { rootDirectory, indexPath },
      clock,
    });
    return comparison.run(mode, signal);
  }

  async verify(hash = false): Promise<VerifyReport & { readonly lines: readonly string[] }> {
    const { root: rootDirectory, indexPath } = this.tree;
    const lines: string[] = [];
    const report = await verifyRegistry({
      tree: { rootDirectory, indexPath },
      clock,
      hash,
      observer: {
        finding: (finding) => lines.push(findingLine(finding)),
        problem: () => undefined,
      },
      signal: forever,
    });
    return { ...report, lines };
  }

  /** As the command does it, in the process that owns the root; `signal` as when its asker goes away. */
  async verifyAsOwner(
    request: Partial<VerifyRequest>,
    options: { readonly signal?: AbortSignal; readonly index?: Index } = {},
  ): Promise<VerifiedAsOwner> {
    const { root: rootDirectory, indexPath } = this.tree;
    const events: VerifyEvent[] = [];
    const code = await verifyRoot(
      {
        tree: { rootDirectory, indexPath },
        index: options.index ?? this.index,
        storage: new FilesystemStorage(rootDirectory),
        locks: new KeyedLocks(),
        clock,
        isAlone: true,
      },
      { hash: false, ...request },
      {
        tell: async (event) => void events.push(event as VerifyEvent),
        signal: options.signal ?? forever,
      },
    );
    const summary = events.at(-1);
    if (summary?.kind !== "summary") throw new Error("the summary comes last");
    const lines = events.flatMap((event) =>
      event.kind === "finding" ? [findingLine(event.finding, event.repair)] : [],
    );
    return { code, report: summary.report, lines };
  }

  async problems(): Promise<TreeProblem[]> {
    return [...(await this.index.listProblems(0, 1000))];
  }

  /** Whether there is a problem of this kind, with this in its path, its name or its repository. */
  async has(kind: TreeProblem["kind"], part = ""): Promise<boolean> {
    const problems = await this.problems();
    return problems.some(
      (problem) =>
        problem.kind === kind &&
        `${problem.path} ${problem.name} ${problem.repository}`.includes(part),
    );
  }

  /** The digest that a tag or digest of a repository finds; null: nothing. */
  async find(repository: string, reference: string): Promise<Digest | null> {
    const name = parseRepositoryName(repository);
    const parsed = parseReference(reference);
    const found = isDigestReference(parsed)
      ? await this.index.findManifest(name, parsed)
      : await this.index.findTag(name, parsed);
    return found?.digest ?? null;
  }

  /** Everything that a collection without any grace would take: manifests, links and blobs. */
  async collect(): Promise<Set<Digest>> {
    const { index } = this;
    const nowMs = Date.now() + 1000;
    const policy = { untagged: true, untaggedBeforeMs: nowMs };
    const gone = new Set<Digest>();
    for (let round = 0; round < 10; round++) {
      const page = { after: null, limit: 100, nowMs };
      const manifests = await index.manifestCandidates({ ...page, policy });
      const removed = await index.removeManifests(manifests, { nowMs, policy });
      const blobs = await index.blobCandidates(page);
      const { condemned } = await index.condemn(blobs, { nowMs, foreignGraceMs: 0 });
      for (const { digest } of [...removed, ...condemned]) gone.add(digest);
    }
    return gone;
  }
}
