// Which configuration file a command reads: the argument, else REGISTRY_CONFIGURATION_PATH, else the
// first of the classic's default places that is there.
import { existsSync } from "node:fs";

/** The images of distribution 3.x and 2.x; also where Debian's package puts it last. */
const defaultPaths = ["/etc/distribution/config.yml", "/etc/docker/registry/config.yml"] as const;

const variable = "REGISTRY_CONFIGURATION_PATH";

export interface ConfigPathOptions {
  readonly argument: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly exists?: (path: string) => boolean;
}

export class ConfigPathError extends Error {
  constructor() {
    super(
      "configuration error: configuration path unspecified\n" +
        `  Give the path of config.yml as an argument or in ${variable};\n` +
        `  without them ${defaultPaths.join(" and ")} are tried, and neither is there.`,
    );
    this.name = "ConfigPathError";
  }
}

/** @throws ConfigPathError. A path that was asked for is returned even when nothing is there. */
export function findConfigPath(options: ConfigPathOptions): string {
  const asked = options.argument ?? options.env[variable];
  if (asked !== undefined && asked !== "") return asked;
  const exists = options.exists ?? existsSync;
  const found = defaultPaths.find((path) => exists(path));
  if (found === undefined) throw new ConfigPathError();
  return found;
}
