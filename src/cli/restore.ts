// `registry restore --list` and `registry restore <name>…`: what was deleted lately, and undoing it.
import { parseDeletedName, parseGlobs } from "../oci/index.ts";
import type { ListedDeletion } from "../registry/deletions.ts";
import type { RestoreEvent } from "../registry/undo-commands.ts";
import { FlagError } from "./garbage-collect-options.ts";
import { runRootCommand } from "./root-command.ts";
import { checkNames, splitTargets } from "./targets.ts";
import { deletionDocument, deletionLine, restoreLines } from "./undo-lines.ts";
import { userName } from "./user-name.ts";

export interface RestoreFlags {
  readonly list?: boolean;
  readonly repository?: readonly string[];
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly forceTags?: boolean;
}

export async function runRestore(
  given: readonly string[],
  flags: RestoreFlags,
  version: string,
): Promise<number> {
  return flags.list === true
    ? await printList(given, flags, version)
    : await restore(given, flags, version);
}

async function restore(
  given: readonly string[],
  flags: RestoreFlags,
  version: string,
): Promise<number> {
  const { names, path } = splitTargets(given);
  return await runRootCommand({
    version,
    path,
    request: () => ({ command: "restore", options: restoreRequest(names, flags) }),
    hear: (told, { bar }) => {
      // What the owner tells is what its own restore says: the same program, or one that says so.
      const event = told as RestoreEvent;
      const lines = flags.json === true ? [JSON.stringify(event)] : restoreLines(event);
      for (const line of lines) bar.print(line);
    },
  });
}

/** @throws FlagError */
function restoreRequest(names: readonly string[], flags: RestoreFlags): object {
  if ((flags.repository?.length ?? 0) > 0) {
    throw new FlagError("--repository goes with --list; name what is to be restored");
  }
  checkNames("restore", names, parseDeletedName);
  const whole = names.find((name) => isWhole(name));
  if (flags.forceTags === true && whole !== undefined) {
    throw new FlagError(
      `--force-tags moves tags that name something else by now: name the tags or manifests, not all of ${whole}`,
    );
  }
  const user = userName() ?? "command";
  return { names, dryRun: flags.dryRun === true, forceTags: flags.forceTags === true, user };
}

function isWhole(name: string): boolean {
  const { tag, digest, number } = parseDeletedName(name);
  return tag === null && digest === null && number === null;
}

async function printList(
  given: readonly string[],
  flags: RestoreFlags,
  version: string,
): Promise<number> {
  const { names, path } = splitTargets(given);
  let count = 0;
  const code = await runRootCommand({
    version,
    path,
    request: () => {
      const globs = listGlobs(names, flags);
      return { command: "restore-list", options: { globs } };
    },
    hear: (told, { bar }) => {
      // What the owner tells is what its index holds: the same program, or one that says so.
      const deletion = told as ListedDeletion;
      count += 1;
      const line =
        flags.json === true ? JSON.stringify(deletionDocument(deletion)) : deletionLine(deletion);
      bar.print(line);
    },
  });
  if (code === 0 && count === 0 && flags.json !== true) {
    process.stdout.write("nothing that was deleted can be restored\n");
  }
  return code;
}

/** @throws FlagError, GlobError */
function listGlobs(names: readonly string[], flags: RestoreFlags): readonly string[] {
  const [name] = names;
  if (name !== undefined) {
    throw new FlagError(`--list takes no names; did you mean --list --repository ${name}?`);
  }
  if (flags.dryRun === true || flags.forceTags === true) {
    throw new FlagError("--list restores nothing: it goes with --repository and --json");
  }
  const { repository = [] } = flags;
  parseGlobs(repository);
  return repository;
}
