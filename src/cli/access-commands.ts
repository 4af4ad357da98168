// The commands about who may come in: `htpasswd`, `token`, `access`, each with commands of its own.
import type { Command } from "commander";
import { runAccessCheck } from "./access.ts";
import * as help from "./access-help.ts";
import { runHtpasswdAdd, runHtpasswdCheck, runHtpasswdRemove } from "./htpasswd.ts";
import {
  runTokenCreate,
  runTokenList,
  runTokenRevoke,
  type TokenCreateFlags,
  type TokenListFlags,
} from "./token.ts";

export interface CommandContext {
  readonly finish: (exitCode: number) => void;
  readonly version: string;
}

export function addAccessCommands(program: Command, context: CommandContext): void {
  addHtpasswd(program, context);
  addToken(program, context);
  addAccess(program, context);
}

function addHtpasswd(program: Command, { finish }: CommandContext): void {
  const htpasswd = program
    .command("htpasswd")
    .description("manage the users of auth.htpasswd")
    .addHelpText("after", help.htpasswdHelp);
  const works = [
    ["add", "add a user, or change their password", runHtpasswdAdd],
    ["remove", "remove a user", runHtpasswdRemove],
    ["check", "check a password; exit code 0 when it is right", runHtpasswdCheck],
  ] as const;
  for (const [name, description, run] of works) {
    htpasswd
      .command(name)
      .description(description)
      .argument("<file>", "the htpasswd file")
      .argument("<user>", "the user's name")
      .action(async (file: string, user: string) => {
        finish(await run({ file, user }));
      });
  }
}

function addToken(program: Command, { finish, version }: CommandContext): void {
  const token = program
    .command("token")
    .description("passwords for programs, with rights of their own")
    .addHelpText("after", help.tokenHelp);
  token
    .command("create")
    .description("make a token; it is shown once")
    .argument("[config.yml]", "the configuration")
    .requiredOption("--user <name>", "the name to log in with")
    .requiredOption("--actions <actions>", "of pull, push, delete, admin, divided by commas")
    .option("--repositories <glob>", "which repositories; may be given more than once", gather)
    .option("--expires <duration>", "such as 90d (the default) or 12h, or never")
    .option("--json", "print one JSON document")
    .action(async (path: string | undefined, flags: TokenCreateFlags) => {
      finish(await runTokenCreate(flags, { path, version, json: flags.json }));
    });
  token
    .command("list")
    .description("list the tokens, and when each was used last")
    .argument("[config.yml]", "the configuration")
    .option("--json", "print one JSON document a token")
    .action(async (path: string | undefined, flags: TokenListFlags) => {
      finish(await runTokenList({ path, version, json: flags.json }));
    });
  token
    .command("revoke")
    .description("revoke a token, at once")
    .argument("<id>", "as the list shows it")
    .argument("[config.yml]", "the configuration")
    .action(async (id: string, path: string | undefined) => {
      finish(await runTokenRevoke(id, { path, version }));
    });
}

function gather(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function addAccess(program: Command, { finish }: CommandContext): void {
  program
    .command("access")
    .description("explain what the access rules decide")
    .addHelpText("after", help.accessHelp)
    .command("check")
    .description("whether a user may do something, and by which rule; exit code 0 when they may")
    .argument("<user>", 'the user; "*" for somebody who is not logged in')
    .argument("<action>", "pull, push, delete or admin")
    .argument("[repository-and-config...]", "the repository (not for admin), then config.yml")
    .action((user: string, action: string, rest: readonly string[]) => {
      finish(runAccessCheck({ user, action, rest }));
    });
}
