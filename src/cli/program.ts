// The command line: which commands there are, what they take, and help that teaches. Each command's work
// is in a file of its own.
import { Command } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { addAccessCommands } from "./access-commands.ts";
import { withPlainSwitches } from "./classic-flags.ts";
import { runConfig } from "./config.ts";
import { type DeleteFlags, runDelete } from "./delete.ts";
import { runGarbageCollect } from "./garbage-collect.ts";
import type { GarbageCollectFlags } from "./garbage-collect-options.ts";
import * as help from "./help-texts.ts";
import { runReindex } from "./reindex.ts";
import { runReload } from "./reload.ts";
import { type RestoreFlags, runRestore } from "./restore.ts";
import { type RetentionFlags, runRetention } from "./retention.ts";
import { runServe } from "./serve.ts";
import { runUsage, type UsageFlags } from "./usage.ts";
import { runVerify, type VerifyFlags } from "./verify.ts";

/** Takes the exit code of the command that was given. */
type Finish = (exitCode: number) => void;

/** Runs the command line; the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const finish: Finish = (code) => (exitCode = code);
  const program = new Command("registry")
    .description("Plimsoll: a container registry that gives the disk back.")
    .version(`registry ${packageJson.version} (plimsoll)`, "-v, --version")
    .addHelpText("after", help.programHelp)
    .showHelpAfterError('(see "registry --help")');
  program
    .command("serve")
    .description("serve the registry until it is stopped")
    .argument("[config.yml]", "the configuration")
    .addHelpText("after", help.serveHelp)
    .action(async (path?: string) => {
      finish(await runServe(path, packageJson.version));
    });
  program
    .command("reload")
    .description("have the running server take its configuration as it is now")
    .argument("[config.yml]", "the configuration")
    .addHelpText("after", help.reloadHelp)
    .action(async (path?: string) => {
      finish(await runReload(path));
    });
  addGarbageCollect(program, finish);
  addVerify(program, finish);
  addDelete(program, finish);
  addRestore(program, finish);
  addRetention(program, finish);
  addUsage(program, finish);
  program
    .command("reindex")
    .description("build the index again from the tree")
    .argument("[config.yml]", "the configuration")
    .addHelpText("after", help.reindexHelp)
    .action(async (path?: string) => {
      finish(await runReindex(path, packageJson.version));
    });
  program
    .command("config")
    .description("print the effective configuration, secrets masked, unknown keys named")
    .argument("[config.yml]", "the configuration")
    .addHelpText("after", help.configHelp)
    .action((path?: string) => {
      finish(
        runConfig(path, {
          env: process.env,
          stdout: (text) => void process.stdout.write(text),
          stderr: (text) => void process.stderr.write(text),
        }),
      );
    });
  addAccessCommands(program, { finish, version: packageJson.version });
  await program.parseAsync([...plainArguments(program, argv)], { from: "user" });
  return exitCode;
}

function addGarbageCollect(program: Command, finish: Finish): void {
  program
    .command("garbage-collect")
    .description(
      "give the disk back: remove what nothing refers to, beside a running server or alone",
    )
    .argument("[config.yml]", "the configuration")
    .option("-d, --dry-run", "show what would go, and remove nothing")
    .option("-m, --delete-untagged", "also remove manifests that no tag leads to")
    .option("-q, --quiet", "print only log lines")
    .option("--json", "print one JSON document instead of lines")
    .option("--marks", "also print every manifest and blob that stays, as the classic does (slow)")
    .option("--full", "look at everything, not only at what the queue of candidates names")
    .option(
      "--grace <duration>",
      "spare bytes that another program may be pushing (default: gc.grace)",
    )
    .option(
      "--keep-deleted <duration>",
      "leave what clients deleted later than that, so that it can be brought back (default: 0s)",
    )
    .option("--history", "show what earlier runs did, in the background too, and collect nothing")
    .option("--limit <runs>", "with --history: how many, the youngest first (default: 20)")
    .addHelpText("after", help.garbageCollectHelp)
    .action(async (path: string | undefined, flags: GarbageCollectFlags) => {
      finish(await runGarbageCollect(path, flags, packageJson.version));
    });
}

function addVerify(program: Command, finish: Finish): void {
  program
    .command("verify")
    .description("check that index, tree and blobs agree; exit code 1 when they do not")
    .argument("[config.yml]", "the configuration")
    .option("--hash", "also read every byte of every blob and check its digest")
    .option("--resume", "with --hash: go on where a run was stopped")
    .option("--repair", "mend what can be mended without losing anything; move altered bytes away")
    .option("--json", "print one JSON document a line, the summary last")
    .addHelpText("after", help.verifyHelp)
    .action(async (path: string | undefined, flags: VerifyFlags) => {
      finish(await runVerify(path, flags, packageJson.version));
    });
}

function addDelete(program: Command, finish: Finish): void {
  program
    .command("delete")
    .description("delete tags, images or whole repositories, so that it can be undone for a while")
    .argument("<names...>", "repository[:tag|@digest]…, then perhaps the configuration")
    .option("-d, --dry-run", "show what would go, and delete nothing")
    .option("--yes", "delete whole repositories, too")
    .option("--json", "print one JSON document a name")
    .addHelpText("after", help.deleteHelp)
    .action(async (names: readonly string[], flags: DeleteFlags) => {
      finish(await runDelete(names, flags, packageJson.version));
    });
}

function addRestore(program: Command, finish: Finish): void {
  program
    .command("restore")
    .description("bring back what was deleted; --list shows what can be")
    .argument("[names...]", "repository[:tag|@digest]…, then perhaps the configuration")
    .option("--list", "show what can be restored, the youngest first, and restore nothing")
    .option("--repository <glob>", "with --list: only of these; may be given again", gather, [])
    .option("-d, --dry-run", "show what would be restored, and restore nothing")
    .option("--force-tags", "move tags that name something else by now")
    .option("--json", "print one JSON document a line")
    .addHelpText("after", help.restoreHelp)
    .action(async (names: readonly string[], flags: RestoreFlags) => {
      finish(await runRestore(names, flags, packageJson.version));
    });
}

/** Of a flag that may be given more than once. */
function gather(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function addRetention(program: Command, finish: Finish): void {
  const retention = program
    .command("retention")
    .description("keep what the retention rules keep: show what would go, or remove it")
    .addHelpText("after", help.retentionHelp);
  const texts = {
    preview: "show tag by tag what would go, by which rule, and the bytes; remove nothing",
    apply: "remove what the rules do not keep",
  } as const;
  for (const what of ["preview", "apply"] as const) {
    retention
      .command(what)
      .description(texts[what])
      .argument("[config.yml]", "the configuration")
      .option("--rule <name>", "only this rule; what others judge stays")
      .option("--repository <glob>", "only these repositories; may be given again", gather)
      .option("--all", "also print every tag that stays, and what keeps it")
      .option("--json", "print one JSON document a line, the summary last")
      .addHelpText("after", help.retentionHelp)
      .action(async (path: string | undefined, flags: RetentionFlags) => {
        finish(await runRetention(what, { path, flags }, packageJson.version));
      });
  }
}

function addUsage(program: Command, finish: Finish): void {
  program
    .command("usage")
    .description("show who uses the disk, and what deleting would give back")
    .argument("[config.yml]", "the configuration")
    .option("--repository <globs...>", "only these repositories; of a single one, more about it")
    .option("--top <rows>", "how many (default: 20)")
    .option("--by <order>", "repository, tag, blob or age (default: repository)")
    .option("--delete-preview <targets...>", "what deleting NAME, NAME:TAG or NAME@DIGEST frees")
    .option("--json", "print a JSON document; of a preview, one a line")
    .addHelpText("after", help.usageHelp)
    .action(async (path: string | undefined, flags: UsageFlags) => {
      finish(await runUsage(path, flags, packageJson.version));
    });
}

function plainArguments(program: Command, argv: readonly string[]): readonly string[] {
  const command = program.commands.find((one) => one.name() === argv[0]);
  if (command === undefined) return argv;
  const options = [command, ...command.commands].flatMap((one) => one.options);
  const switches = options.filter((option) => option.isBoolean());
  return withPlainSwitches(argv, switches);
}
