// The reports in words, 80 columns wide but for names, which stand last so that they can be copied. Pure.
import { humanBytes } from "../gc/human-bytes.ts";
import type { AgeRow } from "./by-age.ts";
import type { DeletePreview, DeleteTarget } from "./delete-preview.ts";
import type { RepositoryReport } from "./repository-report.ts";
import type { UsageSummary } from "./summary.ts";
import type { BlobRow } from "./top-blobs.ts";
import type { TopRepositories } from "./top-repositories.ts";
import type { TagRow } from "./top-tags.ts";
import type { UsageEvent } from "./usage-request.ts";

export function usageLines(event: UsageEvent): string[] {
  switch (event.kind) {
    case "summary":
      return summaryLines(event.summary);
    case "repositories":
      return repositoryLines(event.list);
    case "repository":
      return reportLines(event.report);
    case "tags":
      return tagLines(event.rows);
    case "blobs":
      return blobLines(event.rows);
    case "ages":
      return ageLines(event.rows);
    case "doomed-manifest":
      return [`manifest ${event.manifest.repository}@${event.manifest.digest}`];
    case "freed-blobs":
      return event.blobs.map(({ digest, sizeBytes }) => `${sized(sizeBytes)} ${digest}`);
    case "preview":
      return previewLines(event.preview);
  }
}

const sizeWidth = 8;
const labelWidth = 26;

const sized = (bytes: number): string =>
  (bytes === 0 ? "0" : humanBytes(bytes)).padStart(sizeWidth);
const atLeast = (is: boolean): string => (is ? "at least " : "");
const counted = (count: number, what: string): string =>
  `${count.toLocaleString("en-US")} ${count === 1 ? what : what.endsWith("y") ? `${what.slice(0, -1)}ies` : `${what}s`}`;

function line(label: string, bytes: number, text = ""): string {
  return `${label.padEnd(labelWidth)} ${sized(bytes)}  ${text}`.trimEnd();
}

function summaryLines(summary: UsageSummary): string[] {
  const { untagged, garbage, uploads, growth, dedupeRatio } = summary;
  const whole = [
    counted(summary.blobs, "blob"),
    counted(summary.manifests, "manifest"),
    counted(summary.repositories, "repository"),
  ].join(", ");
  const lines = [
    line("stored", summary.storedBytes, whole),
    line("  held by repositories", summary.heldBytes),
    line(
      "    of it untagged",
      untagged.bytes,
      `${atLeast(untagged.atLeast)}${counted(untagged.manifests, "manifest")}; garbage-collect -m frees it`,
    ),
  ];
  if (garbage.bytes > 0) {
    lines.push(line("    of it garbage", garbage.bytes, "the next collection frees it"));
  }
  lines.push(
    line("  waiting for collection", summary.waiting.bytes, counted(summary.waiting.blobs, "blob")),
  );
  const rarely = [
    ["  restorable", summary.restorable.bytes, "deleted, held until it cannot be undone"],
    ["  leased", summary.leased.bytes, "somebody may be about to refer to it"],
    ["  being removed", summary.condemned.bytes, "by a collection"],
    ["  perhaps held", summary.mayBeHeldBytes, "by manifests that cannot be read"],
  ] as const;
  for (const [label, bytes, text] of rarely) if (bytes > 0) lines.push(line(label, bytes, text));
  lines.push(line("unfinished uploads", uploads.bytes, counted(uploads.sessions, "session")));
  if (dedupeRatio !== null) {
    const text = `${dedupeRatio.toFixed(2)} times what is stored`;
    lines.push(line("without sharing", summary.logicalBytes, text));
  }
  for (const { days, bytesPerDay } of growth) {
    const sign = bytesPerDay < 0 ? "-" : "+";
    const amount = `${sign}${humanBytes(Math.abs(bytesPerDay))}`.padStart(sizeWidth);
    lines.push(`${"growth".padEnd(labelWidth)} ${amount}  a day, over ${days.toFixed(1)} days`);
  }
  if (summary.unreadableManifests > 0) {
    lines.push(
      `${counted(summary.unreadableManifests, "manifest")} cannot be read; they may hold more, and deleting may free less`,
    );
  }
  return [...lines, ""];
}

function repositoryLines(list: TopRepositories): string[] {
  const lines = list.rows.map(
    (row) =>
      `${sized(row.exclusiveBytes)}  ${sized(row.sharedBytes)}  ${sized(row.logicalBytes)}  ${String(row.manifests).padStart(9)}  ${String(row.tags).padStart(7)}  ${row.repository}`,
  );
  const more = list.count - list.rows.length;
  return [
    `${"exclusive".padStart(sizeWidth)}    shared   logical  manifests     tags  repository`,
    ...lines.map((text) => ` ${text}`),
    ...(more > 0 ? [`${" ".repeat(12)}and ${counted(more, "repository")} more (--top)`] : []),
  ];
}

function reportLines(report: RepositoryReport): string[] {
  const { sharedWith, isSharedWithMore, untagged } = report;
  const lines = [
    "",
    `${report.repository}: ${counted(report.manifests, "manifest")}, ${counted(report.tags, "tag")}`,
    line("  exclusive", report.exclusiveBytes, "deleting the repository frees it"),
    line(
      "  untagged",
      untagged.bytes,
      `${atLeast(untagged.atLeast)}${counted(untagged.manifests, "manifest")}; garbage-collect -m frees it`,
    ),
    line("  shared", report.sharedBytes, sharedWith.length === 0 ? "" : "with"),
  ];
  for (const { repository, bytes } of sharedWith) {
    lines.push(`${" ".repeat(labelWidth)} ${sized(bytes)}  ${repository}`);
  }
  if (isSharedWithMore) lines.push(`${" ".repeat(labelWidth + sizeWidth + 3)}and others`);
  return lines;
}

function tagLines(rows: readonly TagRow[]): string[] {
  return [
    `exclusive    shared   logical  pushed      image`,
    ...rows.map((row) => {
      const pushed = new Date(row.pushedAtMs).toISOString().slice(0, 10);
      const sizes = [row.exclusiveBytes, row.sharedBytes, row.logicalBytes].map(sized).join("  ");
      const name = `${row.repository}:${row.tag}`;
      return ` ${sizes}  ${pushed}  ${name}${row.atLeast ? " (at least)" : ""}`;
    }),
  ];
}

function blobLines(rows: readonly BlobRow[]): string[] {
  return rows.flatMap(({ digest, sizeBytes, repositories, isHeldByMore }) => {
    const holders = isHeldByMore ? [...repositories, "others"] : repositories;
    const text = holders.length === 0 ? "no repository holds it" : `in ${holders.join(", ")}`;
    return [`${sized(sizeBytes)} ${digest}`, `${" ".repeat(sizeWidth)} ${text}`];
  });
}

function ageLines(rows: readonly AgeRow[]): string[] {
  return [
    `${"bytes".padStart(sizeWidth)}  manifests  pushed`,
    ...rows.map(({ bytes, manifests, youngerThanDays }, n) => {
      const from = rows[n - 1]?.youngerThanDays ?? 0;
      const age =
        youngerThanDays === null
          ? `${from} days ago and earlier`
          : `${from === 0 ? "" : `${from} to `}${youngerThanDays} days ago`;
      const text = from === 0 && youngerThanDays !== null ? "less than a day ago" : age;
      return `${sized(bytes)}  ${String(manifests).padStart(9)}  ${text}`;
    }),
  ];
}

export function targetText({ repository, reference }: DeleteTarget): string {
  if (reference === null) return repository;
  return reference.includes(":") ? `${repository}@${reference}` : `${repository}:${reference}`;
}

function previewLines(preview: DeletePreview): string[] {
  const least = atLeast(preview.atLeast);
  return [
    ...preview.unknown.map((target) => `there is no ${targetText(target)}`),
    `deleting would free ${least}${preview.bytes} bytes (${humanBytes(preview.bytes)}): ${counted(preview.blobs, "blob")}, with ${counted(preview.manifests, "manifest")}`,
  ];
}
