// What every command begins with: find the configuration and read it, or say on stderr why not.
import { ConfigError, type LoadedConfig, loadConfig } from "../config/index.ts";
import { ConfigPathError, findConfigPath } from "./config-path.ts";

/** Null when the configuration cannot be used; everything has been said then. */
export function prepare(argument: string | undefined): LoadedConfig | null {
  try {
    const path = findConfigPath({ argument, env: process.env });
    return loadConfig({ path, env: process.env });
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof ConfigPathError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return null;
  }
}
