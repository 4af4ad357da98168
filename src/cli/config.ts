// `registry config [config.yml]`: prints the effective configuration as YAML on stdout, with secrets
// masked, and on stderr what is unknown or wrong in it. Starts and changes nothing.
import { ConfigError, loadConfig, renderConfig } from "../config/index.ts";
import type { Environment } from "../config/index.ts";
import { ConfigPathError, findConfigPath } from "./config-path.ts";

export interface ConfigCommandIo {
  readonly env: Environment;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** Returns the exit code: 0, or 1 when a server would not start with this configuration. */
export function runConfig(argument: string | undefined, io: ConfigCommandIo): number {
  try {
    const path = findConfigPath({ argument, env: io.env });
    const { config, warnings } = loadConfig({ path, env: io.env });
    printWarnings(warnings, io);
    io.stdout(
      `# The effective configuration of ${path}, defaults included.\n${renderConfig(config)}`,
    );
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof ConfigPathError)) throw error;
    if (error instanceof ConfigError) printWarnings(error.warnings, io);
    io.stderr(`${error.message}\n`);
    return 1;
  }
}

function printWarnings(warnings: readonly string[], io: ConfigCommandIo): void {
  for (const warning of warnings) io.stderr(`warning: ${warning}\n`);
}
