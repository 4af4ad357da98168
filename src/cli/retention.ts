// `registry retention preview|apply [flags] [config.yml]`: what the retention rules would remove, tag by tag,
// and removing it; beside a running server or alone.
import {
  type RetentionEvent,
  RetentionLines,
  type RetentionReport,
  retentionRequest,
} from "../retention/index.ts";
import { runRootCommand } from "./root-command.ts";
import { userName } from "./user-name.ts";

/** As commander hands them over; a flag that was not given is absent. */
export interface RetentionFlags {
  readonly rule?: string;
  readonly repository?: readonly string[];
  readonly all?: boolean;
  readonly json?: boolean;
}

export async function runRetention(
  what: "preview" | "apply",
  given: { readonly path: string | undefined; readonly flags: RetentionFlags },
  version: string,
): Promise<number> {
  const { path, flags } = given;
  let lines: RetentionLines | null = null;
  return await runRootCommand({
    version,
    path,
    request: (config) => ({
      command: `retention-${what}`,
      options: retentionRequest(config.retention, {
        rule: flags.rule ?? null,
        repository: flags.repository === undefined ? null : [...flags.repository],
        tellsKept: flags.all === true,
        user: userName(),
      }),
    }),
    hear: (told, { bar }) => {
      // What the owner tells is what its retention says: the same program, or one that says so.
      const event = told as RetentionEvent;
      const print = (line: string): void => {
        bar.print(line);
      };
      if (flags.json === true) {
        print(JSON.stringify(documentOf(event)));
        return;
      }
      lines ??= new RetentionLines(print);
      lines.hear(event);
    },
  });
}

/** One document a line, the summary last. Times as dates. */
function documentOf(event: RetentionEvent): object {
  switch (event.kind) {
    case "tag": {
      const { pushedAtMs, pulledAtMs, ...rest } = event;
      return { ...rest, pushedAt: date(pushedAtMs), pulledAt: date(pulledAtMs) };
    }
    case "untagged": {
      const { untaggedSinceMs, ...rest } = event;
      return { ...rest, untaggedSince: date(untaggedSinceMs) };
    }
    case "summary":
      return { kind: event.kind, ...summaryOf(event.report) };
    default:
      return event;
  }
}

function summaryOf({ bytes, ...rest }: RetentionReport): object {
  return { ...rest, bytesFreed: bytes };
}

function date(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
