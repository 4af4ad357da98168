// `registry verify [--hash] [--json] [config.yml]`: says whether index, tree and blobs agree; exit code 1
// when they do not.
import type { VerifyEvent } from "../takeover/verify-events.ts";
import { findingLine, verifyProblemLine, verifySummary } from "../takeover/verify-lines.ts";
import { runRootCommand } from "./root-command.ts";

export interface VerifyFlags {
  readonly hash?: boolean;
  readonly json?: boolean;
}

/** Findings that a JSON document lists; its counts are whole. */
const listedMax = 10_000;

export async function runVerify(
  path: string | undefined,
  flags: VerifyFlags,
  version: string,
): Promise<number> {
  const document = new VerifyDocument();
  return await runRootCommand({
    version,
    path,
    request: () => ({ command: "verify", options: { hash: flags.hash === true } }),
    hear: (told) => {
      // What the owner tells is what its verification says: the same program, or one that says so.
      const event = told as VerifyEvent;
      const text = flags.json === true ? document.hear(event) : linesOf(event).join("\n");
      if (text !== "") process.stdout.write(`${text}\n`);
    },
  });
}

function linesOf(event: VerifyEvent): string[] {
  switch (event.kind) {
    case "finding":
      return [findingLine(event.finding)];
    case "problem":
      return [verifyProblemLine(event.problem, event.isHarmless)];
    case "summary":
      return verifySummary(event.report);
  }
}

/** Gathers what is told into one document. */
class VerifyDocument {
  readonly #findings: unknown[] = [];
  readonly #problems: unknown[] = [];

  /** The document, once the summary is among what was told; "" before. */
  hear(event: VerifyEvent): string {
    if (event.kind === "summary") {
      const lists = { findings: this.#findings, problems: this.#problems };
      return JSON.stringify({ ...event.report, found: lists });
    }
    const list = event.kind === "finding" ? this.#findings : this.#problems;
    if (list.length < listedMax) list.push(event);
    return "";
  }
}
