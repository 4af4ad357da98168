// What of a configuration can change while the registry runs, and what needs a restart: which keys differ
// between two configurations, and the one that results when a running registry is given another.
// What is not named here needs a restart, so a key that is new is never said to be applied and is not.
// Documentation: docs/operating.md has the table, which a test compares with `reloadableKeys`.
import type { Config, StorageConfig } from "./config.ts";
import { configTree } from "./render.ts";

/** As in config.yml; a section stands for all that is in it. */
export const reloadableKeys: readonly string[] = [
  "log",
  "storage.watermark",
  "http.limits",
  "auth",
  "access",
  "groups",
  "notifications",
  "health",
  "catalog",
  "tags",
  "validation",
  "gc",
  "verify.scrub",
  "immutable",
  "quotas",
  "retention",
];

/** The running configuration with all of the new one that can be applied to it. */
export function reloadedConfig(running: Config, next: Config): Config {
  return {
    ...running,
    log: next.log,
    storage: { ...running.storage, loadLine: loadLineOf(running.storage, next.storage) },
    http: { ...running.http, limits: next.http.limits },
    auth: next.auth,
    access: next.access,
    notifications: next.notifications,
    health: next.health,
    catalog: next.catalog,
    tags: next.tags,
    validation: next.validation,
    gc: next.gc,
    verify: next.verify,
    immutable: next.immutable,
    quotas: next.quotas,
    retention: next.retention,
  };
}

/** The watch over the storage begins and ends with the process, and measures what it began with. */
function loadLineOf(running: StorageConfig, next: StorageConfig): StorageConfig["loadLine"] {
  if (running.loadLine === null || next.loadLine === null) return running.loadLine;
  return { ...running.loadLine, watermark: next.loadLine.watermark };
}

/** Keys whose values differ, as in config.yml; of a list its own. Never the values: some are secret. */
export function changedKeys(before: Config, after: Config): readonly string[] {
  const was = leavesOf(configTree(before));
  const is = leavesOf(configTree(after));
  const keys = new Set([...was.keys(), ...is.keys()]);
  return [...keys].filter((key) => was.get(key) !== is.get(key));
}

/** Sections whose keys are anybody's: named whole, however many there are. */
const ofFreeKeys: ReadonlySet<string> = new Set(["groups", "log.fields", "http.headers"]);

function leavesOf(tree: Readonly<Record<string, unknown>>): Map<string, string> {
  const leaves = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    const isSection = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isSection || ofFreeKeys.has(path)) {
      leaves.set(path, JSON.stringify(value) ?? "");
      return;
    }
    const entries = Object.entries(value);
    // An empty section says something too: `auth: {none: {}}`.
    if (entries.length === 0) leaves.set(path, "{}");
    for (const [key, inner] of entries) walk(inner, path === "" ? key : `${path}.${key}`);
  };
  walk(tree, "");
  return leaves;
}

/** A configuration whose sections are always those of the moment, for whoever asks again each time. */
export class LiveConfig {
  readonly view: Config;
  #current: Config;

  constructor(config: Config) {
    this.#current = config;
    const getters: PropertyDescriptorMap = {};
    for (const section of Object.keys(config) as (keyof Config)[]) {
      getters[section] = { enumerable: true, get: () => this.#current[section] };
    }
    this.view = Object.defineProperties({}, getters) as Config;
  }

  get current(): Config {
    return this.#current;
  }

  replace(config: Config): void {
    this.#current = config;
  }
}
