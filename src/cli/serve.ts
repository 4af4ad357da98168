// `registry serve [config.yml]`: serves until SIGTERM or SIGINT, then ends what is under way and exits 0.
// SIGHUP: takes the configuration as it is now.
import { writeSync } from "node:fs";
import { rootDirectoryOf, serve } from "../compose/index.ts";
import { loadConfig } from "../config/index.ts";
import { openLogs } from "../observability/index.ts";
import { greeting } from "./greeting.ts";
import { takeHangUps } from "./hang-up.ts";
import { prepare } from "./prepare.ts";

/** A receiver of traces has had its time before (observability/tracing). */
const lingerMs = 500;
/** What only the start needed goes back to the system then: its code, and what it made. Some 4 MiB. */
const shrinkAfterMs = 1_000;

export async function runServe(path: string | undefined, version: string): Promise<number> {
  // One that comes while it starts may be about what has been read already: it is done after the start.
  let isAsked = false;
  takeHangUps(() => {
    isAsked = true;
  });
  const config = prepare(path);
  if (config === null) return 1;
  const logs = openLogs({
    level: config.config.log.level,
    formatter: config.config.log.formatter,
    fields: config.config.log.fields,
    accessLogDisabled: config.config.log.accessLog.disabled,
    version,
    gather: true,
  });
  for (const warning of config.warnings) logs.logger.warn(warning);
  const stop = new AbortController();
  const stopped = nextStopSignal(stop);
  try {
    const serving = await serve(config.config, logs, {
      signal: stop.signal,
      load: () => loadConfig({ path: config.path, env: process.env }),
      setLogs: (settings) => {
        logs.replace(settings);
      },
    });
    const { address, debugAddress, isEncrypted } = serving;
    logs.logger.info(`listening on ${address}${isEncrypted ? ", tls" : ""}`);
    if (debugAddress !== null) logs.logger.info(`debug server listening on ${debugAddress}`);
    const rootDirectory = rootDirectoryOf(config.config);
    // Whoever has each line parsed has the address in "listening on".
    if (config.config.log.formatter === "text") {
      greet(greeting({ address, host: config.config.http.host, rootDirectory }));
    }
    takeHangUps(() => void serving.reload());
    if (isAsked) void serving.reload();
    // oxlint-disable-next-line typescript/no-deprecated -- nothing else gives code back; a full collection does not
    setTimeout(() => Bun.shrink(), shrinkAfterMs).unref();
    const ending = await Promise.race([stopped, serving.failed]);
    const isFailure = ending instanceof Error;
    logs.logger.info(`stopping on ${isFailure ? "a failure" : ending}`);
    await serving.stop();
    if (isFailure) throw ending;
    await logs.flush();
    leaveSoon();
    return 0;
  } catch (error) {
    await logs.flush();
    if (stop.signal.aborted) return 0;
    process.stderr.write(`registry: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

function nextStopSignal(stop: AbortController): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => {
        // A second one ends it at once: everything acknowledged is durable already.
        if (stop.signal.aborted) process.exit(1);
        stop.abort();
        resolve(signal);
      });
    }
  });
}

/** Everything is over by now, and it ends by itself, but for what is sent to somebody who never answers. */
function leaveSoon(): void {
  setTimeout(() => process.exit(), lingerMs).unref();
}

function greet(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody reads, or it goes to a full disk: a server that cannot say hello serves all the same.
  }
}
