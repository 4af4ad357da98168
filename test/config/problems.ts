// What is said of a configuration that is refused, for the tests of its sections.
import { ConfigError } from "../../src/config/load.ts";

/** Empty: it is accepted. */
export function problemsIn(load: () => unknown): readonly string[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
