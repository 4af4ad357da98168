// Puts access control together, as the configuration says: who logs in how, and by which rules. What has to be
// the same when the rules are others (the issuer's keys, who has proved a password) is made apart.
import { join } from "node:path";
import {
  AccessRules,
  type AuthLog,
  BearerTokens,
  HtpasswdFile,
  issuerAlgorithm,
  IssuerKeys,
  Logins,
  OwnIssuer,
  PasswordAccess,
  Passwords,
  Policy,
  RobotTokens,
  TokenAccess,
  TrustedKeys,
} from "../auth/index.ts";
import type { AuthConfig, Config } from "../config/index.ts";
import type { Access } from "../http/index.ts";
import type { Logger } from "../observability/index.ts";
import { ownDirectory } from "../owner/owner-lock.ts";
import { type Clock, systemClock } from "../registry/ports/clock.ts";
import type { TokenIndex } from "../registry/ports/index.ts";

/** Where the own issuer answers, below `http.prefix`. */
const issuerPath = "/auth/token";

export interface AccessParts {
  readonly config: Config;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  readonly index: TokenIndex;
  /** Null: storage in memory. */
  readonly tree: { readonly rootDirectory: string } | null;
  readonly clock?: Clock;
  /** Absent: made for this one. */
  readonly issuerKeys?: () => Promise<IssuerKeys>;
  /** Of a file of passwords; absent: made for this one. */
  readonly logins?: (path: string) => Logins;
}

/**
 * Who logs in by a file of passwords: the same as long as the file is, so that other rules do not cost every
 * client that is at work another check of its password. What is remembered is who somebody is, and never
 * what they may do.
 */
export function loginsOf(parts: AccessParts): (path: string) => Logins {
  const { clock = systemClock, index } = parts;
  const log = authLog(parts.logger);
  let last: { readonly path: string; readonly logins: Logins } | null = null;
  return (path) => {
    if (last?.path === path) return last.logins;
    const users = new HtpasswdFile(path, clock, log);
    const logins = new Logins({
      passwords: new Passwords(users, clock),
      users,
      robots: new RobotTokens(index, clock, (error) => {
        const reason = error instanceof Error ? error.message : String(error);
        log.warn(`the use of a robot token could not be noted: ${reason}`);
      }),
    });
    // Said now, not at the first login.
    void users.version;
    last = { path, logins };
    return logins;
  };
}

/**
 * The keys of the registry's own issuer, opened when they are first needed and then always the same, however
 * often access is put together anew: two of them would write over each other's file.
 */
export function issuerKeysOf(parts: AccessParts): () => Promise<IssuerKeys> {
  const { clock = systemClock, logger, tree } = parts;
  let opened: Promise<IssuerKeys> | null = null;
  const open = async (): Promise<IssuerKeys> => {
    const path = tree === null ? null : join(tree.rootDirectory, ownDirectory, "issuer-keys.json");
    const keys = new IssuerKeys(path, clock, authLog(logger));
    await keys.open();
    return keys;
  };
  return () => (opened ??= open());
}

/** Null: everybody may do everything. @throws Error naming what cannot be used. */
export async function composeAccess(parts: AccessParts): Promise<Access | null> {
  const { config, logger, clock = systemClock } = parts;
  const { auth } = config;
  const log = authLog(logger);
  if (auth.kind === "none") return null;
  if (auth.kind === "token") return { controller: tokenAccess(auth, clock, log), issuer: null };
  const logins = (parts.logins ?? loginsOf(parts))(auth.path);
  const { access } = config;
  const rules = access === null ? null : new AccessRules(access.rules, access.groups);
  const policy = new Policy(rules);
  if (auth.issuer === null) {
    if (access?.rules.some(({ users: names }) => names.includes("*")) === true) {
      log.warn(
        'access: rules for "*" work with podman and skopeo; docker pulls without a login only with auth.issuer (docs/access.md)',
      );
    }
    const { realm } = auth;
    return { controller: new PasswordAccess({ logins, policy, realm, own: null }), issuer: null };
  }
  return await withIssuer({ ...parts, clock }, { logins, policy }, auth);
}

async function withIssuer(
  parts: AccessParts & { readonly clock: Clock },
  { logins, policy }: { readonly logins: Logins; readonly policy: Policy },
  auth: Extract<AuthConfig, { kind: "htpasswd" }>,
): Promise<Access> {
  const { clock } = parts;
  const { realm: basicRealm } = auth;
  const own = auth.issuer;
  if (own === null) throw new Error("auth.issuer is missing");
  const { service, issuer, realm, expirationMs: lifeMs } = own;
  const keys = await (parts.issuerKeys ?? issuerKeysOf(parts))();
  const algorithms = [issuerAlgorithm];
  const tokens = new BearerTokens({ keys, issuer, service, algorithms, clock });
  return {
    controller: new PasswordAccess({
      logins,
      policy,
      realm: basicRealm,
      own: { tokens, realm, path: issuerPath, service },
    }),
    issuer: new OwnIssuer({
      logins,
      policy,
      keys,
      clock,
      basicRealm,
      issuer,
      service,
      lifeMs,
      path: issuerPath,
    }),
  };
}

function tokenAccess(
  auth: Extract<AuthConfig, { kind: "token" }>,
  clock: Clock,
  log: AuthLog,
): TokenAccess {
  const { service, issuer, autoRedirectPath, realm, signingAlgorithms: algorithms } = auth;
  const keys = new TrustedKeys(auth, clock, log);
  const tokens = new BearerTokens({ keys, issuer, service, algorithms, clock });
  const isElsewhere = autoRedirectPath === null;
  return new TokenAccess({
    tokens,
    realm: isElsewhere ? realm : null,
    path: autoRedirectPath ?? "",
    service,
  });
}

function authLog(logger: AccessParts["logger"]): AuthLog {
  return {
    info: (message) => {
      logger.info(message);
    },
    warn: (message) => {
      logger.warn(message);
    },
    error: (message) => {
      logger.error(message);
    },
  };
}
