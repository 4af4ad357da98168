// `notifications`: who is told of what happens.
import { z } from "zod";
import type { EndpointConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { parseFlag, sentHeaders, serverUrl } from "./value-schemas.ts";
import { duration, flag, natural, oneOf, scalar, text } from "./value-schemas.ts";

const { endpoint: endpointDefaults } = defaults.notifications;

const name = scalar("a name", (value) => (value === "" ? undefined : value));
const url = serverUrl("https://hooks.example.com/registry");

const ownAction = oneOf("restore", "collect", "retain");
const action = oneOf("push", "pull", "mount", "delete", "restore", "collect", "retain");
const mediaType = scalar(`one of ${endpointDefaults.mediaTypes.join(", ")}`, (value) =>
  endpointDefaults.mediaTypes.find((known) => known === value),
);

const fields = {
  name,
  url,
  headers: sentHeaders.default({}),
  timeout: duration.default(0),
  threshold: natural.default(0),
  backoff: duration.default(0),
  ignoredmediatypes: z.array(text).default([]),
  ignore: z
    .strictObject({ mediatypes: z.array(text).default([]), actions: z.array(action).default([]) })
    .prefault({}),
  include: z.strictObject({ actions: z.array(ownAction).default([]) }).prefault({}),
  mediatype: mediaType.default(endpointDefaults.mediaTypes[0]),
};

const enabled = z
  .strictObject({ ...fields, disabled: flag.optional() })
  .transform((raw): EndpointConfig => ({
    name: raw.name,
    url: raw.url,
    headers: raw.headers,
    // As the classic does, 0 takes the default.
    timeoutMs: raw.timeout > 0 ? raw.timeout : endpointDefaults.timeoutMs,
    threshold: raw.threshold > 0 ? raw.threshold : endpointDefaults.threshold,
    backoffMs: raw.backoff > 0 ? raw.backoff : endpointDefaults.backoffMs,
    ignoredMediaTypes: [...raw.ignoredmediatypes, ...raw.ignore.mediatypes],
    ignoredActions: raw.ignore.actions,
    includedActions: raw.include.actions,
    // It stands beside the endpoints.
    includesReferences: false,
    mediaType: raw.mediatype,
  }));

/** What is switched off need not make sense. */
const endpoint = z.unknown().transform((raw, context): EndpointConfig | null => {
  const isMap = typeof raw === "object" && raw !== null && "disabled" in raw;
  if (isMap && typeof raw.disabled === "string" && parseFlag(raw.disabled) === true) return null;
  const read = enabled.safeParse(raw);
  if (read.success) return read.data;
  for (const issue of read.error.issues) context.issues.push({ ...issue, input: raw } as never);
  return z.NEVER;
});

export const notificationsSection = z
  .strictObject({
    events: z.strictObject({ includereferences: flag.default(false) }).prefault({}),
    endpoints: z.array(endpoint).default([]),
  })
  .prefault({})
  .transform((raw, context): readonly EndpointConfig[] => {
    const includesReferences = raw.events.includereferences;
    const endpoints = raw.endpoints
      .filter((one) => one !== null)
      .map((one) => ({ ...one, includesReferences }));
    const names = endpoints.map((one) => one.name);
    const twice = names.find((one, at) => names.indexOf(one) !== at);
    if (twice === undefined) return endpoints;
    context.issues.push({
      code: "custom",
      input: twice,
      path: ["endpoints"],
      message: "a name of its own for each endpoint, by which the queue knows it",
    });
    return z.NEVER;
  });
