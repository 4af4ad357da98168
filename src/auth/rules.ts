// Access rules: who may do what in which repositories. The first rule that matches user, action and
// repository grants; where none does, it is denied. Pure, and says which rule decided.
import { type NameGlobs, type RepositoryName, parseGlobs } from "../oci/index.ts";
import type { AccessAction, NamesSeen } from "../registry/ports/access.ts";

export interface AccessRule {
  /** Globs; empty where the rule only makes admins. */
  readonly repositories: readonly string[];
  /** Names, `group:<name>`, or `*` for everybody, logged in or not. */
  readonly users: readonly string[];
  readonly actions: readonly AccessAction[];
}

export type Groups = Readonly<Record<string, readonly string[]>>;

interface CompiledRule {
  /** From 1, as they are written. */
  readonly number: number;
  readonly globs: NameGlobs | null;
  readonly isForAll: boolean;
  readonly users: ReadonlySet<string>;
  readonly actions: ReadonlySet<AccessAction>;
}

export class AccessRules {
  readonly #rules: readonly CompiledRule[];

  constructor(rules: readonly AccessRule[], groups: Groups) {
    this.#rules = rules.map((rule, at) => ({
      number: at + 1,
      globs: rule.repositories.length === 0 ? null : parseGlobs(rule.repositories),
      isForAll: rule.users.includes("*"),
      users: new Set(rule.users.flatMap((user) => membersOf(user, groups))),
      actions: new Set(rule.actions),
    }));
  }

  /** The number of the rule that grants it, from 1; null: none does. `user` null: not logged in. */
  find(
    user: string | null,
    action: AccessAction,
    repository: RepositoryName | null,
  ): number | null {
    for (const rule of this.#of(user, action)) {
      if (action === "admin") return rule.number;
      if (repository !== null && rule.globs?.matches(repository) === true) return rule.number;
    }
    return null;
  }

  /** What the user may pull, for lists. */
  seenBy(user: string | null): NamesSeen {
    const globs = this.#of(user, "pull").flatMap((rule) => (rule.globs === null ? [] : rule.globs));
    return namesSeen(globs);
  }

  #of(user: string | null, action: AccessAction): readonly CompiledRule[] {
    return this.#rules.filter(
      (rule) =>
        rule.actions.has(action) && (rule.isForAll || (user !== null && rule.users.has(user))),
    );
  }
}

function membersOf(user: string, groups: Groups): readonly string[] {
  if (!user.startsWith(groupMark)) return user === "*" ? [] : [user];
  return groups[user.slice(groupMark.length)] ?? [];
}

const groupMark = "group:";

/** What some of the lists of globs match. */
export function namesSeen(lists: readonly NameGlobs[]): NamesSeen {
  return {
    prefixes: shortest(lists.flatMap(({ patterns }) => prefixesOf(patterns))),
    matches: (name) => lists.some((globs) => globs.matches(name)),
  };
}

export function joinSeen(a: NamesSeen, b: NamesSeen): NamesSeen {
  return {
    prefixes: shortest([...a.prefixes, ...b.prefixes]),
    matches: (name) => a.matches(name) || b.matches(name),
  };
}

/** How every name begins that such a list can match. */
function prefixesOf(patterns: readonly string[]): readonly string[] {
  const wanted = patterns.filter((pattern) => !pattern.startsWith("!"));
  if (wanted.length === 0) return [""];
  return wanted.map((pattern) => /^[a-z0-9._/-]*/.exec(pattern)?.[0] ?? "");
}

/** Sorted, and without those that another one covers. */
function shortest(prefixes: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const prefix of [...prefixes].sort()) {
    const last = kept.at(-1);
    if (last === undefined || !prefix.startsWith(last)) kept.push(prefix);
  }
  return kept;
}
