// How a test serves by a configuration that nobody changes meanwhile: a reload finds the same one.

export interface Unchanging<Config> {
  readonly signal: AbortSignal;
  readonly load: () => {
    readonly config: Config;
    readonly warnings: readonly string[];
    readonly path: string;
  };
  readonly setLogs: () => void;
}

export function unchanging<Config>(
  config: Config,
  signal = new AbortController().signal,
): Unchanging<Config> {
  return {
    signal,
    load: () => ({ config, warnings: [], path: "" }),
    setLogs: () => undefined,
  };
}
