// `registry token create|list|revoke`: passwords for programs, with rights of their own. A token is
// shown once, alone on stdout, so that a script can take it.
import type { TokenCommand, TokenEvent, TokenView } from "../auth/index.ts";
import type { Config } from "../config/index.ts";
import { formatLongDuration, parseLongDuration } from "../config/long-duration.ts";
import { parseGlobs } from "../oci/index.ts";
import { FlagError } from "./garbage-collect-options.ts";
import { runRootCommand } from "./root-command.ts";
import { userName } from "./user-name.ts";

export interface TokenCreateFlags {
  readonly user: string;
  readonly repositories?: readonly string[];
  readonly actions: string;
  readonly expires?: string;
  readonly json?: boolean;
}

export interface TokenListFlags {
  readonly json?: boolean;
}

interface Asked {
  readonly path: string | undefined;
  readonly version: string;
  readonly json?: boolean | undefined;
}

export function runTokenCreate(flags: TokenCreateFlags, asked: Asked): Promise<number> {
  return run((config) => {
    const request = createRequest(flags);
    if (config.auth.kind === "htpasswd") return request;
    // Else whoever gets it finds out that nobody asks for it.
    throw new FlagError(
      "robot tokens are passwords beside auth.htpasswd, and this configuration has none: nobody could log in with one. Add auth.htpasswd; its file may be empty",
    );
  }, asked);
}

export function runTokenList(asked: Asked): Promise<number> {
  return run(() => ({ kind: "list" }), asked);
}

export function runTokenRevoke(id: string, asked: Asked): Promise<number> {
  return run(() => ({ kind: "revoke", id, by: userName() }), asked);
}

async function run(request: (config: Config) => TokenCommand, asked: Asked): Promise<number> {
  return await runRootCommand({
    version: asked.version,
    path: asked.path,
    request: (config) => ({ command: "token", options: request(config) }),
    hear: (told) => {
      // What the owner tells is what its command says: the same program, or one that says so.
      const event = told as TokenEvent;
      if (asked.json === true && "token" in event) process.stdout.write(`${documentOf(event)}\n`);
      else sayEvent(event);
    },
  });
}

function documentOf(event: Extract<TokenEvent, { token: TokenView }>): string {
  const { createdAtMs, expiresAtMs, lastUsedAtMs, ...rest } = event.token;
  return JSON.stringify({
    ...rest,
    createdAt: timeOf(createdAtMs),
    expiresAt: timeOf(expiresAtMs),
    lastUsedAt: timeOf(lastUsedAtMs),
    ...(event.kind === "created" ? { password: event.password } : {}),
  });
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function sayEvent(event: TokenEvent): void {
  switch (event.kind) {
    case "created": {
      const { id, user, createdAtMs, expiresAtMs } = event.token;
      const ends =
        expiresAtMs === null
          ? "never expires"
          : `expires in ${formatLongDuration(expiresAtMs - createdAtMs)}`;
      process.stderr.write(
        `token ${id} for ${user}, ${ends}; it is shown once, log in with it as the password:\n`,
      );
      process.stdout.write(`${event.password}\n`);
      return;
    }
    case "token":
      process.stdout.write(`${lineOf(event.token)}\n`);
      return;
    case "revoked":
      process.stderr.write(`token ${event.id} is revoked\n`);
      return;
    case "unknown":
      process.stderr.write(`there is no token ${event.id}; see registry token list\n`);
      return;
    case "full":
      process.stderr.write("there are 10,000 tokens, the most there may be; revoke some first\n");
  }
}

function lineOf(token: TokenView): string {
  const { id, user, repositories, actions, expiresAtMs, lastUsedAtMs } = token;
  const where = repositories.length === 0 ? "-" : repositories.join(",");
  const ends = expiresAtMs === null ? "never expires" : `expires ${timeOf(expiresAtMs)}`;
  const used = lastUsedAtMs === null ? "never used" : `last used ${timeOf(lastUsedAtMs)}`;
  return `${id}  ${user}  ${actions.join(",")}  ${where}  ${ends}  ${used}`;
}

const actionNames = ["pull", "push", "delete", "admin"] as const;
const usualLife = "90d";

/** @throws FlagError */
function createRequest(flags: TokenCreateFlags): TokenCommand {
  const { user, expires = usualLife } = flags;
  if (user === "" || user === "*" || user.length > 255 || /[:\s\p{Cc}]/u.test(user)) {
    const given = JSON.stringify(user.slice(0, 80));
    throw new FlagError(
      `--user ${given}: expected a name without colons, spaces and control characters, and not "*"`,
    );
  }
  const actions = flags.actions.split(",").map((word) => {
    const action = actionNames.find((name) => name === word.trim());
    if (action !== undefined) return action;
    throw new FlagError(
      `--actions: "${word.slice(0, 40)}" is not one of ${actionNames.join(", ")}`,
    );
  });
  const repositories = (flags.repositories ?? []).flatMap(splitGlobs);
  const isAboutRepositories = actions.some((action) => action !== "admin");
  if (isAboutRepositories !== repositories.length > 0) {
    throw new FlagError(
      isAboutRepositories
        ? "--repositories is missing: which repositories is the token for, such as 'ci/**'?"
        : "--repositories: admin is not about repositories",
    );
  }
  parseGlobs(repositories);
  const lifeMs = expires === "never" ? null : parseLongDuration(expires);
  if (expires !== "never" && (lifeMs === null || lifeMs <= 0)) {
    throw new FlagError(
      `--expires "${expires.slice(0, 40)}": expected a duration such as 90d or 12h, or never`,
    );
  }
  return { kind: "create", user, repositories, actions, lifeMs, by: userName() };
}

/** At commas, but not at those of `{a,b}`. */
function splitGlobs(text: string): readonly string[] {
  return text.split(/,(?![^{]*\})/).filter((glob) => glob !== "");
}
