// Verify in words: a line for each thing as it is found, and some for the end. Pure.
import type { TreeProblem } from "../registry/ports/index.ts";
import { problemText } from "./report-lines.ts";
import type { VerifyReport } from "./verify.ts";
import type { Finding } from "./verify-findings.ts";

export function findingLine(finding: Finding): string {
  const { kind, path, detail } = finding;
  const what = kind === "difference" ? `${finding.what} differs` : kind.replaceAll("-", " ");
  const needed =
    "neededBy" in finding && finding.neededBy.length > 0
      ? `; needed by ${finding.neededBy.join(", ")}`
      : "";
  const digest = "digest" in finding ? ` ${finding.digest}` : "";
  return `${what}${digest}: ${path}: ${detail}${needed}`;
}

export function verifyProblemLine(problem: TreeProblem, isHarmless: boolean): string {
  return `${isHarmless ? "odd" : "wrong"}: ${problemText(problem)}`;
}

export function verifySummary(report: VerifyReport): string[] {
  const { repositories, manifests, checked, durationMs, harmlessProblems } = report;
  const lines = [
    `checked ${repositories} repositories, ${manifests} manifests and ${checked.blobs} blobs in ${(durationMs / 1000).toFixed(1)} s`,
  ];
  if (checked.hashedBytes > 0) lines.push(`read and hashed ${checked.hashedBytes} bytes`);
  if (harmlessProblems > 0) lines.push(`${harmlessProblems} odd things, none of which does harm`);
  if (report.isSound) return [...lines, "everything is in order"];
  const counts = [...countsOf(report.findings), ...countsOf(report.problems)];
  return [...lines, `not in order: ${counts.join(", ")}`];
}

function countsOf(counts: Readonly<Record<string, number>>): string[] {
  return Object.entries(counts).map(([kind, count]) => `${kind} ${count}`);
}
