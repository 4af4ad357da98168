// The configuration room: file and environment in, a typed Config with every default out.
export type * from "./config.ts";
export type { Environment } from "./environment.ts";
export { ConfigError, loadConfig } from "./load.ts";
export type { LoadedConfig } from "./load.ts";
export { renderConfig } from "./render.ts";
export { opensslSuites } from "./tls-section.ts";
