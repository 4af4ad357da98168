// `registry delete <name>…`: tags, images and whole repositories, as a client would delete them, so that it
// can be undone for a while.
import { parseImageName } from "../oci/index.ts";
import type { DeleteEvent } from "../registry/undo-commands.ts";
import { FlagError } from "./garbage-collect-options.ts";
import { runRootCommand } from "./root-command.ts";
import { checkNames, splitTargets } from "./targets.ts";
import { deleteLines } from "./undo-lines.ts";
import { userName } from "./user-name.ts";

export interface DeleteFlags {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export async function runDelete(
  given: readonly string[],
  flags: DeleteFlags,
  version: string,
): Promise<number> {
  const { names, path } = splitTargets(given);
  return await runRootCommand({
    version,
    path,
    request: () => ({ command: "delete", options: deleteRequest(names, flags) }),
    hear: (told, { bar }) => {
      // What the owner tells is what its own deletion says: the same program, or one that says so.
      const event = told as DeleteEvent;
      const lines = flags.json === true ? [JSON.stringify(event)] : deleteLines(event);
      for (const line of lines) bar.print(line);
    },
  });
}

/** @throws FlagError */
function deleteRequest(names: readonly string[], flags: DeleteFlags): object {
  checkNames("delete", names);
  const dryRun = flags.dryRun === true;
  const whole = names.find((name) => isWhole(name));
  if (whole !== undefined && !dryRun && flags.yes !== true) {
    throw new FlagError(
      `registry delete ${whole}: this is a whole repository, with all its images; --yes deletes it, --dry-run shows what would go`,
    );
  }
  return { names, dryRun, user: userName() ?? "command" };
}

function isWhole(name: string): boolean {
  const { tag, digest } = parseImageName(name);
  return tag === null && digest === null;
}
