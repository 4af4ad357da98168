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
import { logTo } from "./log.ts";
import type { Access } from "../http/index.ts";
import type { Logger } from "../observability/index.ts";
import { ownDirectory } from "../owner/owner-lock.ts";
import { type Clock, systemClock } from "../registry/ports/clock.ts";
import type { TokenIndex } from "../registry/ports/index.ts";

/** Where the own issuer answers, below `http.prefix`. */
const issuerPath = "/auth/token";

export interface AccessParts {
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  readonly index: TokenIndex;
  /** Null: storage in memory. */
  readonly tree: { readonly rootDirectory: string } | null;
  readonly clock?: Clock;
}

/** What is the same under whatever rules, and made by whoever needs it first. */
interface Kept {
  readonly clock: Clock;
  readonly log: AuthLog;
  readonly issuerKeys: () => Promise<IssuerKeys>;
  /** Of a file of passwords. */
  readonly logins: (path: string) => Logins;
}

/**
 * Access control of a server, anew for each configuration that it is given. Null: everybody may do everything.
 * @throws Error naming what cannot be used.
 */
export function accessOf(parts: AccessParts): (config: Config) => Promise<Access | null> {
  const { clock = systemClock, index, logger, tree } = parts;
  const log = logTo(logger);
  const kept: Kept = {
    clock,
    log,
    issuerKeys: issuerKeysOf({ tree, clock, log }),
    logins: loginsOf({ index, clock, log }),
  };
  return (config) => composeAccess(config, kept);
}

/**
 * Who logs in by a file of passwords: the same as long as the file is, so that other rules do not cost every
 * client that is at work another check of its password. What is remembered is who somebody is, and never
 * what they may do.
 */
function loginsOf({
  index,
  clock,
  log,
}: Pick<Kept, "clock" | "log"> & Pick<AccessParts, "index">): Kept["logins"] {
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

/** Of the registry's own issuer: two of them would write over each other's file. */
function issuerKeysOf({
  tree,
  clock,
  log,
}: Pick<Kept, "clock" | "log"> & Pick<AccessParts, "tree">): Kept["issuerKeys"] {
  let opened: Promise<IssuerKeys> | null = null;
  const open = async (): Promise<IssuerKeys> => {
    const path = tree === null ? null : join(tree.rootDirectory, ownDirectory, "issuer-keys.json");
    const keys = new IssuerKeys(path, clock, log);
    await keys.open();
    return keys;
  };
  return () => (opened ??= open());
}

async function composeAccess({ auth, access }: Config, kept: Kept): Promise<Access | null> {
  const { clock, log } = kept;
  if (auth.kind === "none") return null;
  if (auth.kind === "token") return { controller: tokenAccess(auth, clock, log), issuer: null };
  const logins = kept.logins(auth.path);
  const rules = access === null ? null : new AccessRules(access.rules, access.groups);
  const policy = new Policy(rules);
  const { issuer, realm } = auth;
  if (issuer !== null)
    return await withIssuer(kept, { logins, policy }, { ...issuer, basicRealm: realm });
  if (access?.rules.some(({ users: names }) => names.includes("*")) === true) {
    log.warn(
      'access: rules for "*" work with podman and skopeo; docker pulls without a login only with auth.issuer (docs/access.md)',
    );
  }
  return { controller: new PasswordAccess({ logins, policy, realm, own: null }), issuer: null };
}

type IssuerConfig = NonNullable<Extract<AuthConfig, { kind: "htpasswd" }>["issuer"]>;

async function withIssuer(
  { clock, issuerKeys }: Kept,
  { logins, policy }: { readonly logins: Logins; readonly policy: Policy },
  own: IssuerConfig & { readonly basicRealm: string },
): Promise<Access> {
  const { service, issuer, realm, basicRealm, expirationMs: lifeMs } = own;
  const keys = await issuerKeys();
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
