// `registry garbage-collect [flags] [config.yml]`: collects now, and prints what the classic command
// prints, on the same streams, and then what came of it.
import { CollectionDocument, type CollectionEvent, collectionLines } from "../gc/index.ts";
import type { Logger } from "../observability/index.ts";
import { type GarbageCollectFlags, readGarbageCollectFlags } from "./garbage-collect-options.ts";
import { runRootCommand } from "./root-command.ts";

export async function runGarbageCollect(
  path: string | undefined,
  flags: GarbageCollectFlags,
  version: string,
): Promise<number> {
  const document = new CollectionDocument();
  let print: ((event: CollectionEvent) => void) | null = null;
  const code = await runRootCommand({
    version,
    path,
    request: (config) => ({
      command: "garbage-collect",
      options: readGarbageCollectFlags(flags, config.gc.graceMs).options,
    }),
    hear: (told, logger) => {
      // What the owner tells is what its collector says: the same program, or one that says so.
      const event = told as CollectionEvent;
      if (flags.json === true) {
        document.hear(event);
        return;
      }
      print ??= collectionLines(streamsOf(logger), { quiet: flags.quiet === true });
      print(event);
    },
  });
  if (flags.json === true && document.isComplete) process.stdout.write(`${document.toJson()}\n`);
  return code;
}

function streamsOf(logger: Logger): Parameters<typeof collectionLines>[0] {
  return {
    stdout: (line) => void process.stdout.write(`${line}\n`),
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
