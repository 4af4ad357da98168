// `http.tls`, in the classic's keys: certificate and key, the CAs of clients, versions and cipher suites.
// Opens no file. Source: distribution, registry/registry.go; what the runtime (BoringSSL) cannot do is
// an error that says so.
import { z } from "zod";
import type { TlsConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { letsEncryptSection, letsEncryptToClassic } from "./letsencrypt-section.ts";
import { healingIssue, noneOrMore, oneOf, scalar, text } from "./value-schemas.ts";
import type { IssueHints } from "./value-schemas.ts";

/** The classic's suites up to TLS 1.2, in Go's names, and OpenSSL's for them; null: too weak to be offered. */
const opensslNames: ReadonlyMap<string, string | null> = new Map([
  ["TLS_RSA_WITH_3DES_EDE_CBC_SHA", null],
  ["TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"],
  ["TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"],
  ["TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"],
  ["TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"],
  ["TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", null],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
]);

/** Neither Go's server nor this one can choose among them: all are offered. */
const version13Suites: ReadonlySet<string> = new Set([
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
]);

const cipherSuite = z.unknown().transform((raw, context): string => {
  const name = typeof raw === "string" ? raw : "";
  if (version13Suites.has(name) || typeof opensslNames.get(name) === "string") return name;
  const usable = [...opensslNames].filter(([, known]) => known !== null).map(([known]) => known);
  const message = opensslNames.has(name)
    ? "a stronger one: suites with 3DES are not offered"
    : `one of ${[...usable, ...version13Suites].join(", ")}`;
  context.issues.push({ code: "custom", input: raw, message });
  return z.NEVER;
});

/** By OpenSSL's names; those of TLS 1.3 have no place among them. */
export function opensslSuites(suites: readonly string[]): readonly string[] {
  return suites.map((name) => opensslNames.get(name)).filter((name) => typeof name === "string");
}

const path = scalar("the path of a file", (value) => (value === "" ? undefined : value));

const sentence: IssueHints = { sentence: true };

/** Go's others want to know what the client has shown, which the runtime does not tell. */
const clientAuth = z.unknown().transform((raw, context): TlsConfig["clientAuth"] => {
  if (raw === "") return defaults.http.tls.clientAuth;
  if (raw === "require-and-verify-client-cert" || raw === "request-client-cert") return raw;
  const choices = "require-and-verify-client-cert or request-client-cert";
  const known = raw === "require-any-client-cert" || raw === "verify-client-cert-if-given";
  context.issues.push({
    code: "custom",
    input: raw,
    ...(known
      ? { message: `${raw} cannot be done here; use ${choices}`, params: sentence }
      : { message: choices }),
  });
  return z.NEVER;
});

const keys = z.strictObject({
  certificate: text.default(""),
  key: text.default(""),
  clientcas: noneOrMore(path).default([]),
  clientauth: clientAuth.optional(),
  minimumtls: oneOf("tls1.0", "tls1.1", "tls1.2", "tls1.3", "").default(""),
  ciphersuites: noneOrMore(cipherSuite).default([]),
  letsencrypt: letsEncryptSection,
});

/** Null: no TLS, as in the classic when neither a certificate nor a cache for some is named. */
export const tlsSection = keys
  .prefault({})
  .superRefine(({ certificate, key, ...raw }, context) => {
    const missing = certificate === "" ? "certificate" : "key";
    const other = missing === "key" ? "certificate" : "key";
    const isCertified = certificate !== "" || raw.letsencrypt !== null;
    if (raw.letsencrypt !== null && (certificate !== "" || key !== "")) {
      const message = "cannot be used beside http.tls.certificate and key: give one or the other";
      context.addIssue({ code: "custom", path: ["letsencrypt"], message, params: sentence });
    } else if ((certificate === "") !== (key === "")) {
      const message = `is needed as well as http.tls.${other}: without it nothing would be encrypted`;
      context.addIssue({ code: "custom", path: [missing], message, params: sentence });
    } else if (!isCertified && raw.clientcas.length > 0) {
      const message = "is needed as well as http.tls.clientcas: nobody would be asked who they are";
      context.addIssue({ code: "custom", path: ["certificate"], message, params: sentence });
    }
    if (raw.clientauth !== undefined && isCertified && raw.clientcas.length === 0) {
      const warning = "has no effect without http.tls.clientcas, as in the classic registry";
      const issue = healingIssue(raw.clientauth, { warning, readAs: undefined });
      context.addIssue({ ...issue, path: ["clientauth"] });
    }
  })
  .transform((raw): TlsConfig | null => {
    if (raw.certificate === "" && raw.letsencrypt === null) return null;
    const { tls } = defaults.http;
    const cipherSuites = raw.ciphersuites.length === 0 ? tls.cipherSuites : raw.ciphersuites;
    // With nothing but suites of TLS 1.3 an older version would find none.
    const only13 = opensslSuites(cipherSuites).length === 0;
    const minimumVersion = raw.minimumtls === "" ? tls.minimumVersion : raw.minimumtls;
    return {
      certificate: raw.certificate,
      key: raw.key,
      letsEncrypt: raw.letsencrypt,
      clientCas: raw.clientcas,
      clientAuth: raw.clientauth ?? tls.clientAuth,
      minimumVersion: only13 ? "tls1.3" : minimumVersion,
      cipherSuites,
    };
  });

/** In the classic's key names, as the effective configuration shows it. */
export function tlsToClassic(tls: TlsConfig | null): Record<string, unknown> {
  if (tls === null) return {};
  return {
    tls: {
      ...(tls.letsEncrypt === null ? { certificate: tls.certificate, key: tls.key } : {}),
      ...letsEncryptToClassic(tls.letsEncrypt),
      clientcas: tls.clientCas,
      ...(tls.clientCas.length === 0 ? {} : { clientauth: tls.clientAuth }),
      minimumtls: tls.minimumVersion,
      ciphersuites: tls.cipherSuites,
    },
  };
}
