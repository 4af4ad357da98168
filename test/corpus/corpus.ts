// Turns a table of cases into tests, each on its own copies of one tree that the classic registry wrote.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "bun:test";

import { describeWith } from "../e2e/clients.ts";
import { buildClassicTree } from "../fixtures/classic-tree.ts";
import type { CorpusCase } from "./corpus-case.ts";
import { runCase } from "./run-case.ts";

/** A case takes about half a second; this is for a machine that does much else. */
const caseMsMax = 300_000;

export function describeCorpus(name: string, cases: readonly CorpusCase[]): void {
  describeWith(["docker-registry"], `corpus: ${name}`, () => {
    const root = mkdtempSync(join(tmpdir(), "corpus-base-"));
    beforeAll(() => buildClassicTree(root), caseMsMax);
    afterAll(() => {
      rmSync(root, { recursive: true, force: true });
    });
    for (const corpusCase of cases) {
      test(corpusCase.name, () => runCase(root, corpusCase), caseMsMax);
    }
  });
}
