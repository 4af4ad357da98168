// The arguments of commands that take names of images and then, perhaps, the configuration: which is which.
import { parseImageName } from "../oci/index.ts";
import { FlagError } from "./garbage-collect-options.ts";

export interface Targets {
  readonly names: readonly string[];
  /** Of the configuration. */
  readonly path: string | undefined;
}

/** A path, or a file's name: what no repository is called, or nobody would call one. */
function isPath(argument: string): boolean {
  return /^[./~]/.test(argument) || /\.ya?ml$/i.test(argument);
}

/** The last argument is the configuration if it ends with .yml or .yaml, or begins like a path. */
export function splitTargets(given: readonly string[]): Targets {
  const last = given.at(-1);
  if (last === undefined || !isPath(last)) return { names: given, path: undefined };
  return { names: given.slice(0, -1), path: last };
}

/** @throws FlagError naming the first one that is no name. */
export function checkNames(
  command: string,
  names: readonly string[],
  parse: (name: string) => unknown = parseImageName,
): void {
  if (names.length === 0) {
    throw new FlagError(
      `registry ${command}: nothing was named; expected repository, repository:tag or repository@digest`,
    );
  }
  for (const name of names) {
    try {
      parse(name);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new FlagError(
        `registry ${command}: "${name.slice(0, 200)}" is not repository, repository:tag or repository@digest: ${why}`,
      );
    }
  }
}
