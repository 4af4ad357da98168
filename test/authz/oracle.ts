// What access control has to answer, written from docs/access.md and from nothing in src: a second opinion. Slow
// and plain on purpose.

export type Action = "pull" | "push" | "delete";

export interface Rule {
  readonly repositories?: readonly string[];
  readonly users: readonly string[];
  readonly actions: readonly (Action | "admin")[];
}

/** `rules` null: the section is not there. */
export interface Setting {
  readonly rules: readonly Rule[] | null;
  readonly groups: Readonly<Record<string, readonly string[]>>;
}

/** Whom the credentials make of a request. `refused`: they are shown, and are not right. */
export type Who =
  | { readonly kind: "refused" }
  | { readonly kind: "nobody" }
  | { readonly kind: "user"; readonly name: string }
  | {
      readonly kind: "robot";
      readonly name: string;
      readonly repositories: readonly string[];
      readonly actions: readonly (Action | "admin")[];
    };

export interface Caller {
  readonly name: string;
  /** The header; null: none is sent. */
  readonly authorization: string | null;
  readonly who: Who;
  /** What the token grants that is shown, by `type:name`; null: a password is shown, or nothing. */
  readonly claims: Readonly<Record<string, readonly string[]>> | null;
}

export type Needs =
  | { readonly kind: "nothing" }
  | { readonly kind: "login" }
  | { readonly kind: "catalog" }
  | { readonly kind: "admin" }
  | {
      readonly kind: "repository";
      readonly repository: string;
      readonly actions: readonly Action[];
    };

/** `in`: the request is answered as if nobody guarded it. */
export type Verdict = "in" | "401" | "403";

export function verdict(
  setting: Setting,
  caller: Caller,
  asked: { readonly needs: Needs; readonly isApi: boolean },
): Verdict {
  const { needs, isApi } = asked;
  const { who } = caller;
  if (needs.kind === "nothing") return "in";
  if (who.kind === "refused") return "401";
  if (needs.kind === "login") return who.kind === "nobody" && caller.claims === null ? "401" : "in";
  const may = mayBy(setting, who, needs);
  if (may && claimed(caller, needs)) return "in";
  const admin: Needs = { kind: "admin" };
  if (isApi && mayBy(setting, who, admin) && claimed(caller, admin)) return "in";
  return may || who.kind === "nobody" ? "401" : "403";
}

/** Whether the caller may pull there: by rules, and by what the token says. */
export function mayPull(setting: Setting, caller: Caller, repository: string): boolean {
  const needs: Needs = { kind: "repository", repository, actions: ["pull"] };
  return verdict(setting, caller, { needs, isApi: false }) === "in";
}

/** Whether a list shows the repository: what a token says of repositories is not about lists. */
export function isShown(setting: Setting, caller: Caller, repository: string): boolean {
  return mayPull(setting, { ...caller, claims: null }, repository);
}

export function isAdmin(setting: Setting, caller: Caller): boolean {
  return verdict(setting, caller, { needs: { kind: "admin" }, isApi: true }) === "in";
}

function mayBy(setting: Setting, who: Who, needs: Needs): boolean {
  switch (needs.kind) {
    case "nothing":
    case "login":
      return true;
    case "admin":
      return mayAdmin(setting, who);
    case "catalog":
      return who.kind !== "nobody" || everybodyPullsSomething(setting);
    case "repository":
      return needs.actions.every((action) => mayDo(setting, who, { ...needs, action }));
  }
}

function mayDo(
  { rules, groups }: Setting,
  who: Who,
  { repository, action }: { readonly repository: string; readonly action: Action },
): boolean {
  if (who.kind === "robot" && who.actions.includes(action)) {
    if (matches(who.repositories, repository)) return true;
  }
  if (rules === null) return who.kind === "user";
  return rules.some(
    (rule) =>
      rule.actions.includes(action) &&
      matches(rule.repositories ?? [], repository) &&
      (rule.users.includes("*") || (who.kind === "user" && isNamed(rule, who.name, groups))),
  );
}

function mayAdmin({ rules, groups }: Setting, who: Who): boolean {
  if (who.kind === "robot") return who.actions.includes("admin");
  if (who.kind !== "user") return false;
  if (rules === null) return true;
  return rules.some((rule) => rule.actions.includes("admin") && isNamed(rule, who.name, groups));
}

function isNamed(rule: Rule, name: string, groups: Setting["groups"]): boolean {
  return rule.users.some((user) =>
    user.startsWith("group:") ? groups[user.slice(6)]?.includes(name) : user === name,
  );
}

function everybodyPullsSomething({ rules }: Setting): boolean {
  return rules?.some((one) => one.users.includes("*") && one.actions.includes("pull")) === true;
}

function claimed({ claims }: Caller, needs: Needs): boolean {
  if (claims === null) return true;
  const has = (scope: string, action: string): boolean =>
    claims[scope]?.some((one) => one === action || one === "*") === true;
  switch (needs.kind) {
    case "nothing":
    case "login":
      return true;
    case "admin":
    case "catalog":
      return has(`registry:${needs.kind}`, "*");
    case "repository":
      return needs.actions.every((action) => has(`repository:${needs.repository}`, action));
  }
}

function matches(globs: readonly string[], name: string): boolean {
  const excluded = globs.filter((glob) => glob.startsWith("!")).map((glob) => glob.slice(1));
  const wanted = globs.filter((glob) => !glob.startsWith("!"));
  if (excluded.some((glob) => expressionOf(glob).test(name))) return false;
  if (wanted.length === 0) return excluded.length > 0;
  return wanted.some((glob) => expressionOf(glob).test(name));
}

/** Of the globs that shapes.ts has. */
function expressionOf(glob: string): RegExp {
  const text = glob
    .replaceAll(".", "\\.")
    .replaceAll("?", "[^/]")
    .replaceAll(/\{([^}]*)\}/g, (_all, names: string) => `(?:${names.replaceAll(",", "|")})`)
    .replaceAll(/\*\*?/g, (stars) => (stars === "**" ? ".*" : "[^/]*"));
  return new RegExp(`^${text}$`);
}
