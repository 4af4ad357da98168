// Our registry in this process: its server and its commands on one root, and what they told.
import { type RootRequest, runOnRoot, type Serving, serve } from "../../src/compose/index.ts";
import { type Config, loadConfig } from "../../src/config/index.ts";
import type { CollectionEvent, CollectionReport } from "../../src/gc/index.ts";
import type { Logger, Logs } from "../../src/observability/index.ts";
import type { TreeProblem } from "../../src/registry/ports/index.ts";
import type { VerifyEvent } from "../../src/takeover/verify-events.ts";
import { configText } from "../fixtures/classic-tree.ts";
import { PushClient } from "../support/push-client.ts";

const silent: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  child: () => silent,
  enabled: () => false,
  flush: () => Promise.resolve(),
};
const logs: Logs = {
  logger: silent,
  accessLog: { write: () => undefined },
  flush: () => Promise.resolve(),
};
const forever = new AbortController().signal;

export interface Collected {
  readonly exitCode: number;
  readonly report: CollectionReport;
  /** Each as `what digest` or `what repository digest`, sorted. */
  readonly eligible: readonly string[];
  readonly steppedOver: readonly TreeProblem[];
}

export interface Verified {
  readonly exitCode: number;
  readonly problems: readonly TreeProblem[];
  /** Kinds, with the paths. */
  readonly findings: readonly string[];
}

export interface CollectFlags {
  readonly dryRun?: boolean;
  readonly untagged?: boolean;
  readonly full?: boolean;
  readonly graceMs?: number;
}

export class OurSide {
  readonly #config: Config;

  constructor(root: string) {
    // Collected when a test says so, and not before.
    const readFile = (): string => `${configText(root, "127.0.0.1:0")}gc: {enabled: false}\n`;
    this.#config = loadConfig({ path: "corpus.yml", env: {}, readFile }).config;
  }

  async serve(): Promise<{ readonly http: PushClient; readonly serving: Serving }> {
    const serving = await serve(this.#config, logs, forever);
    return { http: new PushClient(`http://${serving.address}`), serving };
  }

  async verify(hash = false): Promise<Verified> {
    const problems: TreeProblem[] = [];
    const findings: string[] = [];
    const exitCode = await this.#run({ command: "verify", options: { hash } }, (told) => {
      const event = told as VerifyEvent;
      if (event.kind === "problem") problems.push(event.problem);
      if (event.kind === "finding") findings.push(`${event.finding.kind} ${event.finding.path}`);
    });
    return { exitCode, problems, findings };
  }

  async collect(flags: CollectFlags = {}): Promise<Collected> {
    const { dryRun = false, untagged = false, full = false, graceMs = 0 } = flags;
    const eligible: string[] = [];
    const steppedOver: TreeProblem[] = [];
    let report: CollectionReport | null = null;
    const options = { dryRun, untagged, full, foreignGraceMs: graceMs, listing: "repositories" };
    const exitCode = await this.#run({ command: "garbage-collect", options }, (told) => {
      const event = told as CollectionEvent;
      if (event.kind === "blob-eligible") eligible.push(`blob ${event.digest}`);
      if (event.kind === "manifest-eligible" || event.kind === "link-eligible") {
        eligible.push(`${event.kind.split("-")[0]} ${event.repository} ${event.digest}`);
      }
      if (event.kind === "stepped-over") steppedOver.push(event.problem);
      if (event.kind === "summary") report = event.report;
    });
    if (report === null) throw new Error("the collection made no report");
    return { exitCode, report, eligible: eligible.sort(), steppedOver };
  }

  #run(request: RootRequest, hear: (event: unknown) => void): Promise<number> {
    const tell = (event: unknown): Promise<void> => {
      hear(event);
      return Promise.resolve();
    };
    return runOnRoot(this.#config, silent, { request, tell, signal: forever });
  }
}
