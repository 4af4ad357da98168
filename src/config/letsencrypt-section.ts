// `http.tls.letsencrypt`: a CA that certifies the hosts by itself, in the classic's keys. `challengeaddr` is
// our own: the classic answers the CA on its own port, by TLS, which the runtime cannot.
import { isIP } from "node:net";
import { z } from "zod";
import type { LetsEncryptConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { formatListenAddress, listenAddressForm, parseTcpAddress } from "./listen-address.ts";
import { healingIssue, noneOrMore, scalar, text } from "./value-schemas.ts";

/** The most that Let's Encrypt puts into one certificate. */
const hostsMax = 100;

const hostForm = "the full name of a host such as registry.example.com";

/** A CA asks such hosts over HTTP: no wildcards, no addresses. The first one names a file, too. */
const host = scalar(hostForm, (value) => {
  const name = value.toLowerCase().replace(/\.$/, "");
  const labels = name.split(".");
  const isName = labels.length > 1 && labels.every((label) => /^(?!-)[a-z0-9-]{1,63}$/.test(label));
  return isName && name.length <= 253 && isIP(name) === 0 ? name : undefined;
});

const hosts = noneOrMore(host)
  .refine((names) => names.length <= hostsMax, { message: `at most ${hostsMax} hosts` })
  .transform((names) => [...new Set(names)]);

const email = scalar("an address such as ops@example.com", (value) =>
  value === "" || /^[^\s@,:?]+@[^\s@,:?]+$/.test(value) ? value : undefined,
);

const directoryUrl = scalar("a URL such as https://acme.example.com/directory", (value) => {
  if (value === "") return defaults.http.letsEncrypt.directoryUrl;
  return URL.parse(value)?.protocol === "https:" ? value : undefined;
});

const challengeAddress = scalar(listenAddressForm, (value) =>
  value === "" ? defaults.http.letsEncrypt.challengeListen : (parseTcpAddress(value) ?? undefined),
);

/** Null: not in use, as in the classic when no `cachefile` is named. */
export const letsEncryptSection = z
  .strictObject({
    cachefile: text.default(""),
    email: email.default(""),
    hosts: hosts.default([]),
    directoryurl: directoryUrl.default(defaults.http.letsEncrypt.directoryUrl),
    challengeaddr: challengeAddress.default(defaults.http.letsEncrypt.challengeListen),
  })
  .prefault({})
  .superRefine(({ cachefile, hosts: names, email: contact }, context) => {
    if (cachefile !== "" && names.length === 0) {
      const message = `at least one: ${hostForm}`;
      context.addIssue({ code: "custom", path: ["hosts"], message });
    }
    if (cachefile === "" && (names.length > 0 || contact !== "")) {
      const warning = "has no effect without http.tls.letsencrypt.cachefile, as in the classic";
      const [key, raw] = names.length > 0 ? ["hosts", [...names]] : ["email", contact];
      context.addIssue({ ...healingIssue(raw, { warning, readAs: undefined }), path: [key ?? ""] });
    }
  })
  .transform((raw): LetsEncryptConfig | null => {
    if (raw.cachefile === "") return null;
    return {
      cacheDirectory: raw.cachefile,
      email: raw.email,
      hosts: raw.hosts,
      directoryUrl: raw.directoryurl,
      challengeListen: raw.challengeaddr,
    };
  });

/** In the classic's key names. */
export function letsEncryptToClassic(config: LetsEncryptConfig | null): Record<string, unknown> {
  if (config === null) return {};
  return {
    letsencrypt: {
      cachefile: config.cacheDirectory,
      email: config.email,
      hosts: config.hosts,
      directoryurl: config.directoryUrl,
      challengeaddr: formatListenAddress(config.challengeListen),
    },
  };
}
