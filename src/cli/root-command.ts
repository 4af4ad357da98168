// What the commands on a root have in common: find the configuration, say what is odd about it, run the
// command in this process or in the one that owns the root, and turn failures into exit code 1.
import { type RootRequest, runOnRoot } from "../compose/index.ts";
import type { Config } from "../config/index.ts";
import { openLogs } from "../observability/index.ts";
import type { Logger } from "../observability/index.ts";
import { prepare } from "./prepare.ts";
import { ProgressBar, wantsBar } from "./progress-bar.ts";

export interface RootCommand {
  readonly version: string;
  /** Of the configuration. */
  readonly path: string | undefined;
  readonly quiet?: boolean;
  /** What to ask for. Throws when the flags make no sense. `progress`: somebody looks at a bar. */
  readonly request: (config: Config, progress: boolean) => RootRequest;
  /** Hears what the command tells. */
  readonly hear: (event: unknown, output: Output) => void | Promise<void>;
}

/** Where a command says what it has to say. */
export interface Output {
  readonly logger: Logger;
  readonly bar: ProgressBar;
}

export async function runRootCommand(command: RootCommand): Promise<number> {
  const loaded = prepare(command.path);
  if (loaded === null) return 1;
  const { config, warnings } = loaded;
  const bar = new ProgressBar({ isWanted: wantsBar(command.quiet === true) });
  const logs = openLogs({
    level: config.log.level,
    formatter: config.log.formatter,
    fields: config.log.fields,
    accessLogDisabled: true,
    version: command.version,
    gather: false,
    ...(bar.isWanted ? { target: bar.logTarget } : {}),
  });
  const { logger } = logs;
  for (const warning of warnings) logger.warn(warning);
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      interrupted.abort();
    });
  }
  try {
    return await runOnRoot(config, logger, {
      request: command.request(config, bar.isWanted),
      tell: async (event) => {
        await command.hear(event, { logger, bar });
      },
      signal: interrupted.signal,
    });
  } catch (error) {
    bar.stop();
    await logs.flush();
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${interrupted.signal.aborted ? "interrupted" : message}\n`);
    return 1;
  } finally {
    bar.stop();
    await logs.flush();
  }
}
