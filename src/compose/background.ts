// What a served root does by itself: collects, applies retention rules, reads its blobs again. Each begins,
// ends, and is begun again by other settings.
import { type ReloadablePart, RestartableLoop } from "./reload.ts";
import { retentionSchedule } from "./retention.ts";
import { logTo, type OpenRoot } from "./root.ts";
import { scrubOf } from "./verify.ts";
import type { Config } from "../config/index.ts";
import { scheduleOptions } from "./config-mapping.ts";
import { CollectionSchedule, systemTimers } from "../gc/index.ts";
import type { Logger } from "../observability/index.ts";
import { systemClock } from "../registry/ports/clock.ts";

export class BackgroundWork {
  readonly #collection: RestartableLoop;
  readonly #retention: RestartableLoop;
  readonly #scrub: RestartableLoop;

  /** @param signal aborted when the process stops. */
  constructor(
    root: OpenRoot,
    { config, logger, signal }: { config: Config; logger: Logger; signal: AbortSignal },
  ) {
    this.#collection = new RestartableLoop(config, (now) => collectionSchedule(now, root, logger));
    this.#retention = new RestartableLoop(config, (now) => retentionSchedule(now, root, logger));
    this.#scrub = new RestartableLoop(config, (now) => {
      const { tree } = root;
      if (tree === null) return null;
      const scrub = scrubOf({ ...root, tree, clock: systemClock }, now, logger);
      if (scrub === null) return null;
      return {
        start: () => {
          scrub.start(root.agreement.wait(signal));
        },
        stop: () => scrub.stop(),
      };
    });
  }

  start(): void {
    this.#collection.start();
    this.#retention.start();
    this.#scrub.start();
  }

  /** What is under way may take until its batch is over. */
  async stop(): Promise<void> {
    await Promise.all([this.#collection.stop(), this.#retention.stop(), this.#scrub.stop()]);
  }

  get parts(): readonly ReloadablePart[] {
    return [
      { keys: ["gc"], prepare: (next) => this.#collection.prepare(next) },
      // A run under way was judged by the old ones.
      { keys: ["retention", "immutable"], prepare: (next) => this.#retention.prepare(next) },
      { keys: ["verify.scrub"], prepare: (next) => this.#scrub.prepare(next) },
    ];
  }
}

function collectionSchedule(
  config: Config,
  root: OpenRoot,
  logger: Logger,
): CollectionSchedule | null {
  const options = scheduleOptions(config);
  if (options === null) return null;
  const { collector, index, agreement } = root;
  return new CollectionSchedule({
    collector,
    index,
    clock: systemClock,
    timers: systemTimers,
    random: Math.random,
    agreed: (signal) => agreement.wait(signal),
    log: logTo(logger),
    options,
  });
}
