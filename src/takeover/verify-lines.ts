// Verify in words: a line for each thing as it is found, and some for the end. Pure.
import type { TreeProblem } from "../registry/ports/index.ts";
import { problemText } from "./report-lines.ts";
import type { VerifyReport } from "./verify.ts";
import type { Finding, Repair } from "./verify-findings.ts";

export function findingLine(finding: Finding, repair: Repair | null = null): string {
  const { kind, path, detail } = finding;
  const what = kind === "difference" ? `${finding.what} differs` : kind.replaceAll("-", " ");
  const digest = "digest" in finding ? ` ${finding.digest}` : "";
  const done = repair === null ? "" : `; ${repair.text}`;
  return `${what}${digest}: ${path}: ${detail}${neededText(finding)}${done}`;
}

function neededText(finding: Finding): string {
  // A missing link says so itself.
  if (!("isNeededByMore" in finding) || finding.neededBy.length === 0) return "";
  const more = finding.isNeededByMore ? " and others" : "";
  return `; needed by ${finding.neededBy.join(", ")}${more}`;
}

export function verifyProblemLine(problem: TreeProblem, isHarmless: boolean): string {
  return `${isHarmless ? "odd" : "wrong"}: ${problemText(problem)}`;
}

export function verifySummary(report: VerifyReport): string[] {
  const { repositories, manifests, checked, durationMs, harmlessProblems, resumedAfter } = report;
  const lines = [
    `checked ${repositories} repositories, ${manifests} manifests and ${checked.blobs} blobs in ${(durationMs / 1000).toFixed(1)} s`,
  ];
  if (checked.hashedBytes > 0) {
    const before =
      resumedAfter === null
        ? ""
        : `, ${resumedAfter.hashedBytes} of them by the run that was stopped`;
    lines.push(`read and hashed ${checked.hashedBytes} bytes${before}`);
  }
  if (harmlessProblems > 0) lines.push(`${harmlessProblems} odd things, none of which does harm`);
  const counts = [...countsOf(report.findings), ...countsOf(report.problems)];
  if (report.mended > 0) lines.push(`${report.mended} of what was wrong was mended`);
  if (report.isSound) return [...lines, "everything is in order"];
  lines.push(`not in order: ${counts.join(", ")}`);
  if (report.todo.length === 0) return lines;
  return [...lines, "to do:", ...report.todo.map((line) => `  ${line}`)];
}

function countsOf(counts: Readonly<Record<string, number>>): string[] {
  return Object.entries(counts).map(([kind, count]) => `${kind} ${count}`);
}
