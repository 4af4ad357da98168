// A collection in the classic registry's words, on the same streams: what is found on stdout, what is
// removed as log lines. Then, on stdout, what the classic never says. Scripts grep these lines: never
// change one. Source: distribution registry/storage/garbagecollect.go, vacuum.go (2.8 and 3.x).
import {
  tagIndexLinkPath,
  blobDirectory,
  layerLinkPath,
  revisionLinkPath,
} from "../storage/layout.ts";
import { dirname } from "node:path/posix";
import type { CollectionEvent, CollectionReport, Spared } from "./collection-events.ts";
import { humanBytes } from "./human-bytes.ts";

export interface LineStreams {
  readonly stdout: (line: string) => void;
  /** Log lines, which `-q` does not silence. */
  readonly log: {
    readonly info: (message: string) => void;
    readonly warn: (message: string) => void;
    readonly error: (message: string) => void;
  };
}

/** `quiet`: nothing on stdout (`-q`). */
export function collectionLines(
  streams: LineStreams,
  options: { readonly quiet: boolean },
): (event: CollectionEvent) => void {
  const print = options.quiet ? () => undefined : streams.stdout;
  return (event) => {
    printEvent(event, print);
    logEvent(event, streams.log);
  };
}

function printEvent(event: CollectionEvent, print: LineStreams["stdout"]): void {
  switch (event.kind) {
    case "started":
      if (event.attached) print("a collection is under way already; joined it");
      break;
    case "repository":
      print(event.repository);
      break;
    case "manifest-marked":
      // The space at the end is the classic's.
      print(`${event.repository}: marking manifest ${event.digest} `);
      break;
    case "blob-marked":
      print(`${event.repository}: marking blob ${event.digest}`);
      break;
    case "manifest-eligible":
      print(`manifest eligible for deletion: ${event.digest}`);
      break;
    case "counted":
      print(
        `\n${event.blobsMarked} blobs marked, ${event.blobs} blobs and ${event.manifests} manifests eligible for deletion`,
      );
      break;
    case "blob-eligible":
      print(`blob eligible for deletion: ${event.digest}`);
      break;
    case "link-eligible":
      print(`${event.repository}: layer link eligible for deletion: ${event.digest}`);
      break;
    case "repository-eligible":
      print(`repository is empty: ${event.repository}`);
      break;
    case "repository-removed":
      print(`repository was empty and is gone: ${event.repository}`);
      break;
    case "summary":
      for (const line of summaryLines(event.report)) print(line);
      break;
    case "manifest-removed":
    case "link-removed":
    case "blob-removed":
    case "blob-failed":
    case "stepped-over":
      break;
  }
}

function logEvent(event: CollectionEvent, log: LineStreams["log"]): void {
  switch (event.kind) {
    case "manifest-removed":
      for (const tag of event.tagHistory) {
        const path = dirname(tagIndexLinkPath(event.repository, tag, event.digest));
        log.info(`deleting manifest tag reference: ${path}`);
      }
      log.info(`deleting manifest: ${dirname(revisionLinkPath(event.repository, event.digest))}`);
      break;
    case "link-removed":
      log.info(`Deleting layer link path: ${layerLinkPath(event.repository, event.digest)}`);
      break;
    case "blob-removed":
      log.info(`Deleting blob: ${blobDirectory(event.digest)}`);
      break;
    case "stepped-over":
      log.warn(
        `stepped over ${event.problem.path}: ${event.problem.detail} (${event.problem.kind})`,
      );
      break;
    case "summary":
      for (const error of event.report.errors) log.error(`failed to garbage collect: ${error}`);
      break;
    default:
      break;
  }
}

/** What the classic never says. */
function summaryLines(report: CollectionReport): string[] {
  const { dryRun, untaggedKept, steppedOver, queueMissed } = report;
  const lines = [
    `${atLeast(report.atLeast)}${report.bytes} bytes ${dryRun ? "reclaimable" : "reclaimed"} (${humanBytes(report.bytes)})`,
  ];
  if (report.uploads > 0) lines.push(`${report.uploads} abandoned uploads expired`);
  if (report.repositories > 0) {
    lines.push(`${report.repositories} empty repositories ${dryRun ? "would go" : "are gone"}`);
  }
  if (untaggedKept.count > 0) {
    lines.push(
      `${atLeast(untaggedKept.atLeast)}${untaggedKept.count} untagged manifests kept, holding ${untaggedKept.bytes} bytes (${humanBytes(untaggedKept.bytes)}); -m removes them too`,
    );
  }
  lines.push(...sparedLines(report.spared, report.startedAtMs + report.durationMs));
  const { restorable } = report;
  if (restorable.count > 0 && restorable.untilMs !== null) {
    lines.push(
      `${atLeast(restorable.atLeast)}${restorable.count} deletions can be undone, the last of them until ${new Date(restorable.untilMs).toISOString()}; they hold ${restorable.bytes} bytes (${humanBytes(restorable.bytes)}); without --keep-deleted these go too`,
    );
  }
  if (steppedOver.count > 0) {
    lines.push(
      `${atLeast(steppedOver.atLeast)}${steppedOver.count} oddities in the tree stepped over; what they may refer to was kept`,
    );
  }
  if (queueMissed !== null) lines.push(`${queueMissed} candidates that the queue had missed`);
  lines.push(`took ${(report.durationMs / 1000).toFixed(2)} s`);
  return lines;
}

function sparedLines(spared: Spared, nowMs: number): string[] {
  const { leased, foreign } = spared;
  const prefix = atLeast(spared.atLeast);
  const lines: string[] = [];
  if (leased.count > 0) {
    lines.push(
      `${prefix}${leased.count} blobs (${leased.bytes} bytes) spared: a client may be about to refer to them, for another ${minutesUntil(leased.untilMs, nowMs)} at most`,
    );
  }
  if (foreign.count > 0) {
    lines.push(
      `${prefix}${foreign.count} blobs (${foreign.bytes} bytes) spared: they may be another program's push, for another ${minutesUntil(foreign.untilMs, nowMs)} at most; --grace 0s collects them now`,
    );
  }
  return lines;
}

function atLeast(isBound: boolean): string {
  return isBound ? "at least " : "";
}

function minutesUntil(untilMs: number | null, nowMs: number): string {
  const minutes = Math.ceil(((untilMs ?? nowMs) - nowMs) / 60_000);
  return minutes <= 1 ? "1 minute" : `${minutes} minutes`;
}
