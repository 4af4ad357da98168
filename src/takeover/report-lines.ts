// A comparison in words, for the log. Pure.
import type { TreeProblem } from "../registry/ports/index.ts";
import type { ComparisonReport } from "./comparison.ts";

interface ReportLine {
  readonly text: string;
  readonly isProblem: boolean;
}

export function problemText({ kind, repository, path, detail }: TreeProblem): string {
  return `${kind}${repository === null ? "" : ` in ${repository}`}: ${path}: ${detail}`;
}

export function reportLines(report: ComparisonReport): ReportLine[] {
  const { counts, first } = report.problems;
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const outcome = { text: outcomeText(report), isProblem: false };
  if (total === 0) return [outcome];
  const kinds = [...counts].map(([kind, count]) => `${kind} ${count}`).join(", ");
  const problems = [
    `${total} things in the tree are odd (${kinds}); they were stepped over, and nothing that they may refer to is collected`,
    ...first.map(problemText),
  ];
  if (total > first.length) {
    problems.push(`and ${total - first.length} more, listed in the index`);
  }
  if (counts.has("unlistable-directory")) {
    problems.push("as long as a directory cannot be listed, no blob at all is collected");
  }
  return [outcome, ...problems.map((text) => ({ text, isProblem: true }))];
}

function outcomeText(report: ComparisonReport): string {
  const { mode, repositories, manifests, blobs, durationMs, taken } = report;
  const seen = `${repositories} repositories, ${manifests} manifests and ${blobs} blobs`;
  const seconds = `${(durationMs / 1000).toFixed(1)} s`;
  if (mode === "first-build") return `built the index from the tree: ${seen} in ${seconds}`;
  const changes = taken === 0 ? "they agree" : `${taken} differences taken in`;
  return `compared tree and index: ${seen} in ${seconds}; ${changes}`;
}
