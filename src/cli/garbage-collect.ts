// `registry garbage-collect [flags] [config.yml]`: collects now, and prints what the classic command
// prints, on the same streams, and then what came of it.
import { CollectionDocument, type CollectionEvent, collectionLines } from "../gc/index.ts";
import { RunHistory, runLines } from "../gc/index.ts";
import type { RunEntry } from "../registry/ports/index.ts";
import {
  type GarbageCollectFlags,
  readGarbageCollectFlags,
  readHistoryLimit,
} from "./garbage-collect-options.ts";
import { CollectionProgress } from "./collection-progress.ts";
import { type Output, runRootCommand } from "./root-command.ts";
import { userName } from "./user-name.ts";

export async function runGarbageCollect(
  path: string | undefined,
  flags: GarbageCollectFlags,
  version: string,
): Promise<number> {
  if (flags.history === true) return await printHistory(path, flags, version);
  const document = new CollectionDocument();
  const progress = new CollectionProgress();
  let print: ((event: CollectionEvent) => void) | null = null;
  const code = await runRootCommand({
    version,
    path,
    quiet: flags.quiet === true,
    request: (config) => ({
      command: "garbage-collect",
      options: {
        ...readGarbageCollectFlags(flags, config.gc.graceMs).options,
        askedBy: { kind: "command", user: userName() },
      },
    }),
    hear: (told, output) => {
      // What the owner tells is what its collector says: the same program, or one that says so.
      const event = told as CollectionEvent;
      progress.hear(event, output.bar);
      if (flags.json === true) {
        document.hear(event);
        return;
      }
      print ??= collectionLines(streamsOf(output), { quiet: flags.quiet === true });
      print(event);
    },
  });
  if (flags.json === true && document.isComplete) process.stdout.write(`${document.toJson()}\n`);
  return code;
}

/** `--history`: the runs that are recorded, the youngest first; collects nothing. */
async function printHistory(
  path: string | undefined,
  flags: GarbageCollectFlags,
  version: string,
): Promise<number> {
  const history = new RunHistory();
  const code = await runRootCommand({
    version,
    path,
    request: () => ({
      command: "garbage-collect-history",
      options: { limit: readHistoryLimit(flags) },
    }),
    hear: (told) => {
      // What the owner tells is what its index holds: the same program, or one that says so.
      const entry = told as RunEntry;
      if (flags.json === true) history.hear(entry);
      else for (const line of runLines(entry)) process.stdout.write(`${line}\n`);
    },
  });
  if (flags.json === true && code === 0) process.stdout.write(`${history.toJson()}\n`);
  return code;
}

function streamsOf({ logger, bar }: Output): Parameters<typeof collectionLines>[0] {
  return {
    stdout: (line) => {
      bar.print(line);
    },
    log: {
      info: (message) => {
        logger.info(message);
      },
      warn: (message) => {
        logger.warn(message);
      },
      error: (message) => {
        logger.error(message);
      },
    },
  };
}
