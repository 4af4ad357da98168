// Scopes of the Docker token protocol, `repository:team/app:pull,push`: what a challenge asks for, what
// a client asks an issuer for, and what a token's `access` claim grants. Pure.
// Source: distribution, "Token Scope Documentation" and "Token Authentication Specification".
import type { RepositoryName } from "../oci/index.ts";
import type { RepositoryAction, Wanted } from "../registry/ports/access.ts";

export interface Scope {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** A push that mounts from many places asks for some; a hundred is nobody's honest request. */
const scopesMax = 100;
const scopeCharactersMax = 600;

export function scopesOf(wanted: readonly Wanted[]): readonly Scope[] {
  const scopes = new Map<string, Scope>();
  for (const one of wanted) {
    const scope = scopeOf(one);
    const key = `${scope.type}:${scope.name}`;
    const actions = new Set([...(scopes.get(key)?.actions ?? []), ...scope.actions]);
    scopes.set(key, { ...scope, actions: [...actions] });
  }
  return [...scopes.values()];
}

function scopeOf(wanted: Wanted): Scope {
  if (wanted.kind === "repository") {
    return { type: "repository", name: wanted.repository, actions: wanted.actions };
  }
  return { type: "registry", name: wanted.kind, actions: ["*"] };
}

export function scopeText(scopes: readonly Scope[]): string {
  return scopes.map(({ type, name, actions }) => `${type}:${name}:${actions.join(",")}`).join(" ");
}

/** Texts may hold several, divided by spaces. What is none is left out, as its request cannot be granted. */
export function parseScopes(texts: readonly string[]): readonly Scope[] {
  return texts
    .flatMap((text) => text.split(" "))
    .filter((text) => text !== "" && text.length <= scopeCharactersMax)
    .slice(0, scopesMax)
    .flatMap((text) => {
      const first = text.indexOf(":");
      const last = text.lastIndexOf(":");
      if (first === -1 || first === last) return [];
      // A class may stand behind the type: "repository(plugin)".
      const [type = ""] = text.slice(0, first).split("(", 1);
      const actions = text
        .slice(last + 1)
        .split(",")
        .filter((action) => action !== "");
      return [{ type, name: text.slice(first + 1, last), actions }];
    });
}

/** What a token grants, from its `access` claim. Anything malformed in it grants nothing. */
export class ClaimedAccess {
  readonly #granted = new Map<string, ReadonlySet<string>>();

  constructor(claim: unknown) {
    for (const { type, name, actions } of scopesIn(claim)) {
      const key = `${type}:${name}`;
      this.#granted.set(key, new Set([...(this.#granted.get(key) ?? []), ...actions]));
    }
  }

  may(action: RepositoryAction, repository: RepositoryName): boolean {
    return this.#has(`repository:${repository}`, action);
  }

  get isAdmin(): boolean {
    return this.#has("registry:admin", "*");
  }

  get mayList(): boolean {
    return this.#has("registry:catalog", "*");
  }

  grants(wanted: Wanted): boolean {
    if (wanted.kind === "admin") return this.isAdmin;
    if (wanted.kind === "catalog") return this.mayList;
    return wanted.actions.every((action) => this.may(action, wanted.repository));
  }

  #has(key: string, action: string): boolean {
    const actions = this.#granted.get(key);
    return actions !== undefined && (actions.has(action) || actions.has("*"));
  }
}

function scopesIn(claim: unknown): readonly Scope[] {
  if (!Array.isArray(claim)) return [];
  return claim.flatMap((entry: unknown) => {
    if (typeof entry !== "object" || entry === null) return [];
    const { type, name, actions } = entry as Partial<Record<keyof Scope, unknown>>;
    if (typeof type !== "string" || typeof name !== "string" || !Array.isArray(actions)) return [];
    return [{ type, name, actions: actions.filter((one) => typeof one === "string") }];
  });
}
