// `http`: where the registry listens and what it says about itself.
import { z } from "zod";
import type { HttpConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { limitsSection } from "./limits-section.ts";
import { listenAddressForm, parseTcpAddress } from "./listen-address.ts";
import type { ListenAddress } from "./listen-address.ts";
import { tlsSection } from "./tls-section.ts";
import { parseTrustedProxy, trustedProxiesOf, trustedProxyForm } from "./trusted-proxies.ts";
import { duration, flag, healingIssue, oneOf, oneOrMore, scalar, text } from "./value-schemas.ts";
import type { IssueHints } from "./value-schemas.ts";

const tcpAddress = scalar(listenAddressForm, (value) => parseTcpAddress(value) ?? undefined);

const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Visible characters, spaces and tabs; what else a client would refuse, or take for another header. */
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

const headerLine = scalar("a text without line breaks", (value) =>
  headerValue.test(value) ? value : undefined,
);

const headers = z.record(z.string(), oneOrMore(headerLine).optional()).transform((raw, context) => {
  const result: Record<string, readonly string[]> = {};
  for (const [name, lines] of Object.entries(raw)) {
    if (!headerName.test(name)) {
      context.issues.push({
        code: "custom",
        input: lines,
        path: [name],
        message: "the name of a header, which has no spaces or colons",
      });
    }
    if (lines !== undefined) result[name] = lines;
  }
  return result;
});

const trustedProxies = oneOrMore(scalar(trustedProxyForm, parseTrustedProxy)).transform(
  trustedProxiesOf,
);

const prefix = scalar("a path such as /registry/", (value) => {
  if (/[\s?#%\\]|\/\/|\/\.\.?(?:\/|$)/.test(value)) return undefined;
  const path = value.replace(/^\/|\/$/g, "");
  return path === "" ? "/" : `/${path}/`;
});

const host = z.unknown().transform((raw, context): string | null => {
  if (raw === "") return null;
  const url = typeof raw === "string" ? URL.parse(raw) : null;
  if (url !== null && /^https?:$/.test(url.protocol) && url.host !== "") {
    const directory = url.pathname.slice(0, url.pathname.lastIndexOf("/") + 1);
    if (directory === url.pathname) return url.origin + directory.replace(/\/+$/, "");
    // As a browser reads a link to a sibling: the classic, too, takes what comes before.
    const warning = `ends without a slash, so "${url.pathname.slice(directory.length)}" is no part of it`;
    context.issues.push(healingIssue(raw, { warning, readAs: url.origin + directory }));
    return z.NEVER;
  }
  const form = "expected a URL such as https://registry.example.com";
  if (typeof raw === "string" && !raw.includes("://")) {
    // The classic, too, takes the request's own host then.
    const warning = `has no scheme and is ignored; ${form}`;
    context.issues.push(healingIssue(raw, { warning, readAs: undefined }));
  } else {
    context.issues.push({ code: "custom", input: raw, message: form.replace("expected ", "") });
  }
  return z.NEVER;
});

const metricsPath = scalar("a path such as /metrics, not below /debug/", (value) => {
  if (value === "") return defaults.http.debug.prometheus.path;
  const isTaken = value === "/livez" || value === "/readyz" || value.startsWith("/debug/");
  return /^\/[\w./~-]*$/.test(value) && !/\/\.\.?(?:\/|$)/.test(value) && !isTaken
    ? value
    : undefined;
});

const debug = z.strictObject({
  // The classic has no debug server unless `addr` is given; "" is how one switches it off.
  addr: z.preprocess((raw) => (raw === "" ? undefined : raw), tcpAddress.optional()),
  prometheus: z
    .strictObject({
      enabled: flag.default(defaults.http.debug.prometheus.enabled),
      path: metricsPath.default(defaults.http.debug.prometheus.path),
    })
    .prefault({}),
});

/** Of no use until the runtime's HTTP/2 keeps what it is sent; what was seen: docs/transport.md. */
const http2Flag = flag.superRefine((enabled, context) => {
  if (!enabled) return;
  const message =
    "HTTP/2 is not offered: the runtime cuts uploads off when many share a connection (docs/transport.md). Remove it; clients use HTTP/1.1 then";
  const params: IssueHints = { sentence: true };
  context.addIssue({ code: "custom", message, params });
});

/** The classic, too, has no metrics without a debug server. */
const debugWithMetrics = debug.superRefine(({ addr, prometheus }, context) => {
  if (addr !== undefined || !prometheus.enabled) return;
  const warning = "has no effect without http.debug.addr, where metrics are served";
  const issue = healingIssue("true", { warning, readAs: "false" });
  context.addIssue({ ...issue, path: ["prometheus", "enabled"] });
});

/** What it has to look like depends on `net`. */
const address = scalar(listenAddressForm, (value) => value);

const listenKeys = z.object({ addr: address.optional(), net: oneOf("tcp", "unix", "").optional() });

export const httpSection = z
  .strictObject({
    ...listenKeys.shape,
    prefix: prefix.default(defaults.http.prefix),
    host: host.default(defaults.http.host),
    relativeurls: flag.default(defaults.http.relativeUrls),
    secret: text.optional(),
    headers: headers.default(defaults.http.headers),
    trustedproxies: trustedProxies.default(defaults.http.trustedProxies),
    draintimeout: duration.default(defaults.http.drainTimeoutMs),
    debug: debugWithMetrics.prefault({}),
    api: z.strictObject({ enabled: flag.default(defaults.http.api.enabled) }).prefault({}),
    limits: limitsSection,
    tls: tlsSection,
    // HTTP/1.1 is all that is spoken here, so switching HTTP/2 off is what is done anyway.
    http2: z.strictObject({ disabled: flag.optional(), enabled: http2Flag.optional() }).optional(),
    h2c: z.strictObject({ enabled: http2Flag.optional() }).optional(),
  })
  .prefault({})
  .transform((raw, context): HttpConfig => {
    const listen = readListen(raw);
    if (listen === null) {
      const message = raw.net === "unix" ? "the path of a socket" : listenAddressForm;
      context.issues.push({ code: "custom", input: raw.addr, path: ["addr"], message });
      return z.NEVER;
    }
    return {
      listen,
      tls: raw.tls,
      prefix: raw.prefix,
      host: raw.host,
      relativeUrls: raw.relativeurls,
      secret: raw.secret === undefined || raw.secret === "" ? null : raw.secret,
      headers: raw.headers,
      trustedProxies: raw.trustedproxies,
      drainTimeoutMs: raw.draintimeout,
      debug: { listen: raw.debug.addr ?? null, prometheus: raw.debug.prometheus },
      limits: raw.limits,
      api: raw.api,
    };
  });

function readListen(raw: z.output<typeof listenKeys>): ListenAddress | null {
  const addr = raw.addr ?? "";
  if (raw.net === "unix") return addr === "" ? null : { kind: "unix", path: addr };
  return addr === "" ? defaults.http.listen : parseTcpAddress(addr);
}
