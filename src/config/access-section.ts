// `auth`, `access` and `groups`: who may come in, and what they may do. Fails closed: a kind of access
// control that is not known is an error, never a warning, because ignoring it would open the registry.
import { z } from "zod";
import { parseGlobs } from "../oci/index.ts";
import type { AccessConfig, AccessRuleConfig, AuthConfig, IssuerConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { type RawMap, type RawValue, emptyMap, isRawMap } from "./raw-tree.ts";
import { duration, flag, oneOf, scalar, text } from "./value-schemas.ts";
import type { IssueHints } from "./value-schemas.ts";

const { issuer: issuerDefaults, token: tokenDefaults } = defaults.auth;

const filled = scalar("a text that is not empty", (value) => (value === "" ? undefined : value));

/** Goes into a header between quotes. */
const plain = scalar("a text of printable ASCII characters that is not empty", (value) =>
  /^[\x20-\x7e]+$/.test(value) ? value : undefined,
);

const url = scalar("a URL that begins with http:// or https://", (value) =>
  /^https?:\/\/[^\s"\\]+$/.test(value) && URL.canParse(value) ? value : undefined,
);

const minuteMs = 60_000;
const tokenLife = duration.refine((ms) => ms >= minuteMs && ms <= 24 * 60 * minuteMs, {
  message: "a duration from 1m to 24h",
});

const issuerKind = z
  .strictObject({
    realm: url.optional(),
    service: plain.default(issuerDefaults.service),
    issuer: plain.default(issuerDefaults.issuer),
    expiration: tokenLife.default(issuerDefaults.expirationMs),
  })
  .transform((raw): IssuerConfig => ({
    realm: raw.realm ?? null,
    service: raw.service,
    issuer: raw.issuer,
    expirationMs: raw.expiration,
  }));

const htpasswdKind = z.strictObject({ realm: plain, path: filled });

/** What jose checks and the classic takes. No HS256: a secret that is shared with the token server. */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;
const algorithm = scalar(`one of ${algorithms.join(", ")}`, (value) =>
  algorithms.find((one) => one === value),
);

const urlPath = scalar("a path that begins with /", (value) =>
  /^\/[^\s"\\]*$/.test(value) ? value : undefined,
);

const tokenKind = z
  .strictObject({
    realm: plain.optional(),
    service: plain,
    issuer: filled,
    rootcertbundle: text.optional(),
    jwks: text.optional(),
    signingalgorithms: z.array(algorithm).min(1, "one algorithm at least").optional(),
    autoredirect: flag.default(tokenDefaults.autoRedirect),
    autoredirectpath: urlPath.default(tokenDefaults.autoRedirectPath),
  })
  .superRefine((raw, context) => {
    if (raw.realm === undefined && !raw.autoredirect) {
      context.addIssue({ code: "custom", path: ["realm"], message: "the URL of the token server" });
    }
    if (isBlank(raw.rootcertbundle) && isBlank(raw.jwks)) {
      const message = "rootcertbundle or jwks is needed: the keys of the token server";
      context.addIssue({ code: "custom", message, params: sentence });
    }
  })
  .transform((raw) => ({
    realm: raw.realm ?? "",
    service: raw.service,
    issuer: raw.issuer,
    rootCertBundle: isBlank(raw.rootcertbundle) ? null : (raw.rootcertbundle ?? null),
    jwks: isBlank(raw.jwks) ? null : (raw.jwks ?? null),
    signingAlgorithms: raw.signingalgorithms ?? algorithms,
    autoRedirectPath: raw.autoredirect ? raw.autoredirectpath : null,
  }));

function isBlank(value: string | undefined): boolean {
  return value === undefined || value === "";
}

const sentence: IssueHints = { sentence: true };

const knownKinds = new Set(["none", "htpasswd", "token", "issuer", "silly"]);

function sayOf(kinds: readonly string[]): string | null {
  if (kinds.includes("silly")) {
    return "silly lets anybody in who sends any password at all; it is the classic's own test aid. Use htpasswd or token";
  }
  const unknown = kinds.find((kind) => !knownKinds.has(kind));
  if (unknown !== undefined) {
    return `"${unknown.slice(0, 40)}" is no kind of access control; expected htpasswd, token or none (and issuer beside htpasswd)`;
  }
  const ways = kinds.filter((kind) => kind !== "issuer");
  if (ways.length > 1) return `expected one kind of access control, not ${ways.join(" and ")}`;
  if (kinds.includes("issuer") && ways[0] !== "htpasswd") {
    return "issuer needs htpasswd beside it: the users whom it gives tokens to";
  }
  return null;
}

/** What is written, as a map from kinds to their parameters. */
function kindsIn(raw: RawValue): RawMap | null {
  if (raw === undefined || raw === "") return emptyMap();
  const written = typeof raw === "string" ? { [raw]: undefined } : raw;
  if (!isRawMap(written)) return null;
  // A kind that is written is meant, also without a word below it.
  const kinds = emptyMap();
  for (const [kind, parameters] of Object.entries(written)) kinds[kind] = parameters ?? emptyMap();
  return kinds;
}

const kindsSchema = z.strictObject({
  none: z.unknown().optional(),
  htpasswd: htpasswdKind.optional(),
  issuer: issuerKind.optional(),
  token: tokenKind.optional(),
});

export const authSection = z
  .unknown()
  .transform((raw, context): z.input<typeof kindsSchema> => {
    const kinds = kindsIn(raw as RawValue);
    const problem =
      kinds === null ? "expected a kind of access control and its keys" : sayOf(Object.keys(kinds));
    if (kinds !== null && problem === null) return kinds;
    context.issues.push({
      code: "custom",
      input: raw,
      message: problem ?? "",
      params: { sentence: true },
    });
    return z.NEVER;
  })
  .pipe(kindsSchema)
  .transform((raw): AuthConfig => {
    if (raw.token !== undefined) return { kind: "token", ...raw.token };
    if (raw.htpasswd === undefined) return { kind: "none" };
    return { kind: "htpasswd", ...raw.htpasswd, issuer: raw.issuer ?? null };
  })
  .prefault("none");

const glob = scalar("a glob such as team/** or public/*", (value) => {
  try {
    parseGlobs([value]);
    return value;
  } catch {
    return undefined;
  }
});

const userName = scalar('a user, group:<name> or "*"', (value) =>
  value !== "" && value.length <= 255 && !value.replace(/^group:/, "").includes(":")
    ? value
    : undefined,
);

const actions = z
  .array(oneOf("pull", "push", "delete", "admin"))
  .min(1, "one of pull, push, delete, admin at least");

const ruleKeys = new Set(["repositories", "users", "actions"]);

/** An unknown key of a rule is an error: what it was to restrict would be open without it. */
const knownRule = z.unknown().superRefine((raw, context) => {
  const unknown = isRawMap(raw) ? Object.keys(raw).find((key) => !ruleKeys.has(key)) : undefined;
  if (unknown === undefined) return;
  const message = `${unknown.slice(0, 40)} is no key of a rule; expected repositories, users, actions`;
  context.addIssue({ code: "custom", message, params: sentence });
});

const ruleShape = z
  .strictObject({
    repositories: z.array(glob).optional(),
    users: z.array(userName).min(1, "one user at least"),
    actions,
  })
  .superRefine((raw, context) => {
    const isAdmin = raw.actions.includes("admin");
    const isAlone = raw.actions.every((action) => action === "admin");
    const names = raw.repositories?.length ?? 0;
    if (isAdmin && (!isAlone || names > 0)) {
      const message =
        "admin is not about repositories; give it a rule of its own, without repositories";
      context.addIssue({ code: "custom", path: ["actions"], message, params: sentence });
    }
    if (!isAdmin && names === 0) {
      const message = "a list of globs such as [team/**]";
      context.addIssue({ code: "custom", path: ["repositories"], message });
    }
    if (isAdmin && raw.users.includes("*")) {
      const message = 'admin is for users with a name, not for "*"';
      context.addIssue({ code: "custom", path: ["users"], message, params: sentence });
    }
  })
  .transform((raw): AccessRuleConfig => ({ ...raw, repositories: raw.repositories ?? [] }));

export const accessSection = z.array(knownRule.pipe(ruleShape)).optional();

const member = scalar("the name of a user", (value) =>
  value === "" || value === "*" || value.includes(":") ? undefined : value,
);

export const groupsSection = z.record(z.string(), z.array(member)).default({});

const empty = {
  message:
    "it is empty; take the key out if whoever logs in may do everything, or write [] if nobody may do anything",
  params: sentence,
};

/** What the sections must agree on. */
export function checkAccess(
  raw: {
    readonly auth: AuthConfig;
    readonly access?: AccessConfig["rules"] | undefined;
    readonly groups: AccessConfig["groups"];
  },
  context: z.core.$RefinementCtx,
): void {
  if (raw.access === undefined) {
    // Rules that were commented out, or that a template has left out, must not open everything.
    if ("access" in raw) context.addIssue({ code: "custom", path: ["access"], ...empty });
    return;
  }
  if (raw.auth.kind !== "htpasswd") {
    const message =
      raw.auth.kind === "token"
        ? "rules and auth.token exclude each other: the token server decides what its tokens allow"
        : "rules need auth.htpasswd: without it nobody can log in";
    context.addIssue({ code: "custom", path: ["access"], message, params: sentence });
  }
  for (const [at, { users }] of raw.access.entries()) {
    for (const user of users) {
      if (!user.startsWith("group:") || Object.hasOwn(raw.groups, user.slice(6))) continue;
      const message = `${user} is not below groups`;
      context.addIssue({
        code: "custom",
        path: ["access", at, "users"],
        message,
        params: sentence,
      });
    }
  }
}
