// The parts of a server that take other settings while it serves: who may come in, who is notified, what is
// looked at, what is logged. What works by itself: background.ts; what asks for the configuration of the
// moment each time needs no part (config-mapping.ts).
import { composeAccess, issuerKeysOf, loginsOf } from "./access.ts";
import type { ApiServices } from "./api.ts";
import type { Observed } from "./observed.ts";
import { checkPasswordFile, type ReloadablePart, reloadableLogs } from "./reload.ts";
import type { OpenRoot } from "./root.ts";
import type { Config, LiveConfig } from "../config/index.ts";
import { contentBounds, limitsOptions } from "./config-mapping.ts";
import type { Access, Limits, RegistryServer } from "../http/index.ts";
import type { Notifier } from "../notifications/index.ts";
import type { Logger, LogsSettings } from "../observability/index.ts";

interface SettingsParts {
  readonly live: LiveConfig;
  readonly root: OpenRoot;
  readonly logger: Logger;
  readonly setLogs: (settings: LogsSettings) => void;
  readonly observed: Observed;
  readonly notifier: Notifier;
  readonly api: ApiServices;
}

export class Settings {
  readonly #parts: SettingsParts;
  readonly #issuerKeys: ReturnType<typeof issuerKeysOf>;
  readonly #logins: ReturnType<typeof loginsOf>;

  constructor(parts: SettingsParts) {
    this.#parts = parts;
    const accessParts = this.#accessParts(parts.live.current);
    this.#issuerKeys = issuerKeysOf(accessParts);
    this.#logins = loginsOf(accessParts);
  }

  /** Null: everybody may do everything. @throws Error naming what cannot be used. */
  access(config: Config): Promise<Access | null> {
    const kept = { issuerKeys: this.#issuerKeys, logins: this.#logins };
    return composeAccess({ ...this.#accessParts(config), ...kept });
  }

  partsOf(server: RegistryServer, limits: Limits): readonly ReloadablePart[] {
    const { api, live, notifier, observed, root, setLogs } = this.#parts;
    return [
      reloadableLogs(setLogs),
      {
        // Made anew: nothing that was decided by the old rules is remembered.
        keys: ["auth", "access", "groups"],
        prepare: async (next) => {
          checkPasswordFile(live.current, next);
          const access = await this.access(next);
          return () => {
            server.replace({ access });
          };
        },
      },
      {
        keys: ["notifications"],
        prepare: ({ notifications }) => {
          return async () => {
            server.replace({ pulls: notifications.length === 0 ? null : notifier });
            await notifier.replace(notifications);
          };
        },
      },
      {
        keys: ["http.limits"],
        prepare: (next) => () => {
          limits.replace(limitsOptions(next));
          root.services.content.replace(contentBounds(next));
        },
      },
      {
        keys: ["health"],
        prepare: (next) => () => {
          observed.replaceChecks(root, next.health);
        },
      },
      {
        // Somebody asked for it under rules that are no longer true.
        keys: ["retention", "immutable"],
        prepare: () => () => {
          api.rulesChanged();
        },
      },
    ];
  }

  #accessParts(config: Config) {
    const { logger, root } = this.#parts;
    return { ...root, config, logger };
  }
}
