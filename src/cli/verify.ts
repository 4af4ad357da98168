// `registry verify [--hash [--resume]] [--repair] [--json] [config.yml]`: says whether index, tree and blobs
// agree, and mends what it may; exit code 1 when something is wrong and stays so.
import type { VerifyEvent, VerifyProgress, VerifyRequest } from "../takeover/verify-events.ts";
import { findingLine, verifyProblemLine, verifySummary } from "../takeover/verify-lines.ts";
import { FlagError } from "./garbage-collect-options.ts";
import type { Progress } from "./progress-bar.ts";
import { runRootCommand } from "./root-command.ts";
import { userName } from "./user-name.ts";

export interface VerifyFlags {
  readonly hash?: boolean;
  readonly repair?: boolean;
  readonly resume?: boolean;
  readonly json?: boolean;
}

export async function runVerify(
  path: string | undefined,
  flags: VerifyFlags,
  version: string,
): Promise<number> {
  return await runRootCommand({
    version,
    path,
    request: (_config, progress) => ({ command: "verify", options: readFlags(flags, progress) }),
    hear: (told, { bar }) => {
      // What the owner tells is what its verification says: the same program, or one that says so.
      const event = told as VerifyEvent;
      if (event.kind === "progress") bar.update(progressOf(event));
      if (event.kind === "summary") bar.stop();
      for (const line of flags.json === true ? jsonOf(event) : linesOf(event)) bar.print(line);
    },
  });
}

/** @throws FlagError */
function readFlags(flags: VerifyFlags, progress: boolean): VerifyRequest {
  const { hash = false, repair = false, resume = false } = flags;
  if (resume && !hash) {
    throw new FlagError("--resume goes on with a run that reads every byte; give --hash as well");
  }
  return { hash, repair, resume, progress, user: userName() };
}

function progressOf(event: VerifyProgress): Progress {
  const { phase, blobs, blobsTotal, bytes, bytesTotal } = event;
  if (phase === "tree") {
    return { what: "walking the tree", value: blobs, total: blobsTotal, unit: "blobs" };
  }
  if (bytesTotal === 0) {
    return { what: "looking at blobs", value: blobs, total: blobsTotal, unit: "blobs" };
  }
  return { what: "reading blobs", value: bytes, total: bytesTotal, unit: "bytes" };
}

function linesOf(event: VerifyEvent): string[] {
  switch (event.kind) {
    case "finding":
      return [findingLine(event.finding, event.repair)];
    case "problem":
      return [verifyProblemLine(event.problem, event.isHarmless)];
    case "nothing-to-resume":
      return ["no run was stopped that could go on; beginning at the start"];
    case "progress":
      return [];
    case "summary":
      return verifySummary(event.report);
  }
}

/**
 * A document a line, as it comes: a run of hours keeps nothing in memory, and one that is stopped leaves
 * lines that can be read. The last one is the summary.
 */
function jsonOf(event: VerifyEvent): string[] {
  return event.kind === "progress" ? [] : [JSON.stringify(event)];
}
