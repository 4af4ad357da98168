// `auth`, `access` and `groups` in the classic's key names, for the effective configuration.
import type { AuthConfig, Config } from "./config.ts";
import { formatGoDuration } from "./go-duration.ts";

export function accessToClassic(config: Config): Record<string, unknown> {
  const { access } = config;
  return {
    auth: authToClassic(config.auth),
    ...(access === null ? {} : { access: access.rules.map(ruleToClassic), groups: access.groups }),
  };
}

function ruleToClassic({ repositories, ...rest }: NonNullable<Config["access"]>["rules"][number]) {
  return repositories.length === 0 ? rest : { repositories, ...rest };
}

function authToClassic(auth: AuthConfig): Record<string, unknown> {
  if (auth.kind === "none") return { none: {} };
  if (auth.kind === "htpasswd") {
    const { realm, path, issuer } = auth;
    if (issuer === null) return { htpasswd: { realm, path } };
    const { expirationMs, ...own } = issuer;
    const known = own.realm === null ? {} : { realm: own.realm };
    return {
      htpasswd: { realm, path },
      issuer: {
        ...known,
        service: own.service,
        issuer: own.issuer,
        expiration: formatGoDuration(expirationMs),
      },
    };
  }
  return {
    token: {
      ...(auth.realm === "" ? {} : { realm: auth.realm }),
      service: auth.service,
      issuer: auth.issuer,
      ...(auth.rootCertBundle === null ? {} : { rootcertbundle: auth.rootCertBundle }),
      ...(auth.jwks === null ? {} : { jwks: auth.jwks }),
      signingalgorithms: auth.signingAlgorithms,
      autoredirect: auth.autoRedirectPath !== null,
      ...(auth.autoRedirectPath === null ? {} : { autoredirectpath: auth.autoRedirectPath }),
    },
  };
}
