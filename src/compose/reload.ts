// Another configuration for a registry that runs: what SIGHUP and `registry reload` do. Whole or nothing:
// everything that may fail is made before anything is switched, and then all of it is switched in one turn.
// What works by itself, and may have something under way, is stopped between two of its steps and begun
// again by the new settings. What can be changed: config/reloading.ts. Documentation: docs/operating.md.
import { htpasswdProblem } from "../auth/index.ts";
import {
  changedKeys,
  type Config,
  ConfigError,
  type LiveConfig,
  type LoadedConfig,
  reloadedConfig,
} from "../config/index.ts";
import type { Logger, LogsSettings } from "../observability/index.ts";
import type { Asker } from "../owner/control-socket.ts";

/** Puts what was made in its place, at once; what takes longer is resolved when it is over. */
export type Switch = () => void | Promise<void>;

/** A part of the running registry that takes other settings. */
export interface ReloadablePart {
  /** Of config.yml, sections for all that is in them: when one of them changes, it is asked. */
  readonly keys: readonly string[];
  /** Makes what the new settings need, and changes nothing yet. @throws what makes them unusable */
  prepare(next: Config): Switch | Promise<Switch>;
}

/** What became of a configuration. */
export type ReloadOutcome =
  | {
      readonly ok: true;
      readonly applied: readonly string[];
      /** Keys that differ from what the registry runs with, and go on doing so. */
      readonly needsRestart: readonly string[];
      readonly warnings: readonly string[];
    }
  | {
      readonly ok: false;
      /** It is what runs now all the same: something that works by itself could not be begun again. */
      readonly isApplied?: true;
      readonly problem: string;
      readonly warnings: readonly string[];
    };

export interface ReloadsParts {
  readonly live: LiveConfig;
  /** Reads file and environment with all the checks of a start. @throws ConfigError */
  readonly load: () => LoadedConfig;
  readonly parts: readonly ReloadablePart[];
  /** Looks at once at the files that the configuration names, as it does now and then anyway. Never throws. */
  readonly lookAtFiles?: () => void;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
}

export class Reloads {
  readonly #parts: ReloadsParts;
  /** One after the other: two at once would mix two files. */
  #last: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(parts: ReloadsParts) {
    this.#parts = parts;
  }

  /** Never rejects; the log says what became of it. */
  reload(): Promise<ReloadOutcome> {
    const outcome = this.#last.then(() => this.#reload());
    this.#last = outcome;
    return outcome;
  }

  /** Waits for one under way; later ones are refused. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#last;
  }

  async #reload(): Promise<ReloadOutcome> {
    if (this.#isStopped) return refused("the registry is stopping");
    let outcome: ReloadOutcome;
    try {
      outcome = await this.#apply(this.#parts.load());
    } catch (error) {
      outcome = refused(messageOf(error), error instanceof ConfigError ? error.warnings : []);
    }
    this.#tell(outcome);
    return outcome;
  }

  async #apply({ config, warnings }: LoadedConfig): Promise<ReloadOutcome> {
    const { live, parts, lookAtFiles } = this.#parts;
    const running = live.current;
    const next = reloadedConfig(running, config);
    const applied = changedKeys(running, next);
    const concerned = parts.filter(({ keys }) => applied.some((key) => isOneOf(key, keys)));
    const switches: Switch[] = [];
    for (const part of concerned) switches.push(await part.prepare(next));
    // In one turn: no request sees some of it.
    live.replace(next);
    const begun = switches.map(async (change) => {
      await change();
    });
    lookAtFiles?.();
    const failures = (await Promise.allSettled(begun)).filter((one) => one.status === "rejected");
    if (failures.length > 0) {
      const why = failures.map(({ reason }) => messageOf(reason)).join("; ");
      return { ok: false, isApplied: true, problem: why, warnings };
    }
    const told = [...warnings, ...openedBy(running, next)];
    return { ok: true, applied, needsRestart: changedKeys(next, config), warnings: told };
  }

  #tell(outcome: ReloadOutcome): void {
    const { logger } = this.#parts;
    for (const line of reloadLines(outcome)) logger[line.level](line.text);
  }
}

interface ReloadLine {
  readonly level: "info" | "warn" | "error";
  readonly text: string;
}

function reloadLines(outcome: ReloadOutcome): readonly ReloadLine[] {
  const warnings = outcome.warnings.map((text) => ({ level: "warn", text }) as const);
  if (!outcome.ok) {
    const { isApplied, problem } = outcome;
    const what =
      isApplied === true
        ? "the configuration was reloaded, but something could not be begun again by it; restart the registry"
        : "the configuration was not reloaded, and what it was stays";
    return [...warnings, { level: "error", text: `${what}: ${problem}` }];
  }
  const { applied, needsRestart } = outcome;
  const text =
    applied.length === 0
      ? "configuration reloaded: nothing that can be applied has changed"
      : `configuration reloaded: ${applied.join(", ")}`;
  return [
    ...warnings,
    { level: "info", text },
    ...needsRestart.map(
      (key) => ({ level: "warn", text: `${key} has changed and needs a restart` }) as const,
    ),
  ];
}

/** `registry reload`, as the running server carries it out. @returns the exit code */
export async function tellReload(reloads: Reloads, asker: Asker): Promise<number> {
  const outcome = await reloads.reload();
  for (const line of reloadLines(outcome)) await asker.tell({ kind: "line", ...line });
  return outcome.ok ? 0 : 1;
}

/** Something that works by itself, from its start to its stop. */
export interface Loop {
  start(): void;
  /** Ends between two steps of what is under way. */
  stop(reason: "stopping" | "reloaded"): Promise<void>;
}

/** A loop that is ended, and begun again by other settings. */
export class RestartableLoop {
  readonly #make: (config: Config) => Loop | null;
  #loop: Loop | null;

  /** @param make null: by these settings nothing is to be done. */
  constructor(config: Config, make: (config: Config) => Loop | null) {
    this.#make = make;
    this.#loop = make(config);
  }

  start(): void {
    this.#loop?.start();
  }

  async stop(): Promise<void> {
    await this.#loop?.stop("stopping");
  }

  prepare(next: Config): Switch {
    const loop = this.#make(next);
    return async () => {
      const before = this.#loop;
      this.#loop = loop;
      await before?.stop("reloaded");
      loop?.start();
    };
  }
}

/** The lines of the log, by other settings. */
export function reloadableLogs(setLogs: (settings: LogsSettings) => void): ReloadablePart {
  return {
    keys: ["log"],
    prepare: ({ log }) => {
      const { level, formatter, fields, accessLog } = log;
      return () => {
        setLogs({ level, formatter, fields, accessLogDisabled: accessLog.disabled });
      };
    },
  };
}

/**
 * At a start a file of passwords that is not there lets nobody in until it is. To a registry that runs, it
 * would do so in the middle of the day: a new path has to be one that can be used. An empty file can: those
 * who have robot tokens log in without it.
 * @throws Error naming the key
 */
export function checkPasswordFile(running: Config, next: Config): void {
  if (next.auth.kind !== "htpasswd") return;
  const { path } = next.auth;
  if (running.auth.kind === "htpasswd" && running.auth.path === path) return;
  const problem = htpasswdProblem(path);
  if (problem === null) return;
  throw new Error(`auth.htpasswd.path: nobody could log in by ${path}: ${problem}`);
}

/** It may be meant, and it is what a file says that is cut off in the middle, or a template without its values. */
function openedBy(before: Config, next: Config): readonly string[] {
  if (next.auth.kind === "none") {
    return before.auth.kind === "none"
      ? []
      : [
          "auth is gone from the configuration: from now on everybody may do everything, without a login",
        ];
  }
  const isOpened = before.access !== null && next.access === null && next.auth.kind === "htpasswd";
  return isOpened
    ? ["access is gone from the configuration: from now on whoever logs in may do everything"]
    : [];
}

function isOneOf(key: string, sections: readonly string[]): boolean {
  return sections.some((section) => key === section || key.startsWith(`${section}.`));
}

function refused(problem: string, warnings: readonly string[] = []): ReloadOutcome {
  return { ok: false, problem, warnings };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
