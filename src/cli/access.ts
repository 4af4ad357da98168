// `registry access check USER ACTION [REPOSITORY] [config.yml]`: what the access rules decide, and which
// rule does. Asks the configuration alone; robot tokens have rights of their own (`registry token list`).
import { AccessRules } from "../auth/index.ts";
import type { AccessConfig, Config } from "../config/index.ts";
import { isRepositoryName, type RepositoryName } from "../oci/index.ts";
import { prepare } from "./prepare.ts";
import { splitTargets, type Targets } from "./targets.ts";

const actions = ["pull", "push", "delete", "admin"] as const;
type Action = (typeof actions)[number];

export interface AccessCheck {
  /** "*" or "anonymous" for nobody who is logged in. */
  readonly user: string;
  readonly action: string;
  /** The repository, then perhaps the configuration; admin goes without the first. */
  readonly rest: readonly string[];
}

/** Exit code 0: it is allowed; 1: it is not, or cannot be said. */
export function runAccessCheck({ user, action: word, rest }: AccessCheck): number {
  const action = actions.find((name) => name === word);
  if (action === undefined) return fail(`"${word}" is no action; expected ${actions.join(", ")}`);
  const { names, path } = repositoryAndPath(rest, action);
  const [name = null] = names;
  if (action === "admin" && name !== null) {
    return fail("admin is of the whole registry: leave the repository out");
  }
  if (action !== "admin" && (name === null || !isRepositoryName(name))) {
    return fail(
      name === null
        ? `${action} in which repository? registry access check ${user} ${action} REPOSITORY [config.yml]`
        : `"${name}" is no name of a repository`,
    );
  }
  if (names.length > 1) return fail(`one repository at a time; what is "${names[1]}"?`);
  const loaded = prepare(path);
  if (loaded === null) return 1;
  const { isAllowed, because } = decision(loaded.config, {
    user: user === "*" || user === "anonymous" ? null : user,
    action,
    repository: name as RepositoryName | null,
  });
  process.stdout.write(`${isAllowed ? "allowed" : "denied"}: ${because}\n`);
  return isAllowed ? 0 : 1;
}

/**
 * A repository may be called "config.yml", but is not: who forgets it must not be told of the rules of
 * another configuration. Without such an ending, a word in the configuration's place is the configuration.
 */
function repositoryAndPath(rest: readonly string[], action: Action): Targets {
  const split = splitTargets(rest);
  const before = action === "admin" ? 0 : 1;
  if (split.path !== undefined || rest.length <= before) return split;
  return { names: rest.slice(0, -1), path: rest.at(-1) };
}

interface Question {
  readonly user: string | null;
  readonly action: Action;
  readonly repository: RepositoryName | null;
}

export function decision(
  { auth, access }: Pick<Config, "auth" | "access">,
  { user, action, repository }: Question,
): { readonly isAllowed: boolean; readonly because: string } {
  if (auth.kind === "none") {
    return { isAllowed: true, because: "auth is none, so everybody may do everything" };
  }
  if (auth.kind === "token") {
    return { isAllowed: false, because: "auth.token: only the token server can say" };
  }
  if (access === null) {
    return user === null
      ? { isAllowed: false, because: "there are no access rules, and without a login nothing goes" }
      : { isAllowed: true, because: "there are no access rules, so every login may do everything" };
  }
  const number = new AccessRules(access.rules, access.groups).find(user, action, repository);
  if (number !== null) {
    return { isAllowed: true, because: `rule ${number} of access: ${ruleText(access, number)}` };
  }
  const where = repository === null ? "" : ` in ${repository}`;
  const who = user ?? "anybody who is not logged in";
  return {
    isAllowed: false,
    because: `no rule of access lets ${who} ${action}${where}; ${access.rules.length} were asked`,
  };
}

function ruleText({ rules, groups }: AccessConfig, number: number): string {
  const rule = rules[number - 1];
  if (rule === undefined) return "";
  const users = rule.users.map((user) =>
    user.startsWith("group:") ? `${user} (${(groups[user.slice(6)] ?? []).join(", ")})` : user,
  );
  const where =
    rule.repositories.length === 0 ? "" : `repositories ${rule.repositories.join(", ")}; `;
  return `${where}users ${users.join(", ")}; actions ${rule.actions.join(", ")}`;
}

function fail(message: string): number {
  process.stderr.write(`${message}\n`);
  return 1;
}
