// Answers a request while somebody is to be notified: the changes that it makes know which request they
// are made for, and what it pulls is told of.
import { isDigest, isTag } from "../oci/index.ts";
import { type RequestOrigin, requestOrigin } from "../registry/ports/request-origin.ts";
import type { Call, Env } from "./context.ts";
import type { PullListener } from "./ports.ts";
import type { Reply } from "./reply.ts";
import type { Route } from "./route.ts";

interface Notified {
  readonly env: Env;
  readonly call: Call;
  readonly route: Route;
  readonly pulls: PullListener;
}

export async function answerNotified<Answer extends { readonly reply: Reply }>(
  { env, call, route, pulls }: Notified,
  from: { readonly requestId: string; readonly remote: string },
  answer: () => Promise<Answer>,
): Promise<Answer> {
  const { request } = call;
  const origin = originOf(env, { ...from, request });
  const answered = await forOrigin(origin, answer);
  const { reply } = answered;
  // A part of a blob goes on with what has been told of.
  if (request.method === "GET" && reply.status === 200) tellPull({ route, reply, origin }, pulls);
  return answered;
}

/** Who it is that asks turns out while the request is answered. */
export function nameActor(user: string | null): void {
  const origin = requestOrigin.getStore();
  if (origin !== undefined) origin.user = user ?? "";
}

/** Whatever is changed meanwhile, by whomever it is asked of, is changed for this request. */
export function forOrigin<Result>(
  origin: RequestOrigin,
  work: () => Promise<Result>,
): Promise<Result> {
  return requestOrigin.run(origin, work);
}

export function originOf(
  env: Env,
  from: { readonly request: Request; readonly requestId: string; readonly remote: string },
): RequestOrigin {
  const { request, requestId, remote } = from;
  return {
    requestId,
    addr: remote,
    host: clipped(request.headers.get("host")),
    method: request.method,
    userAgent: clipped(request.headers.get("user-agent")),
    user: "",
    base: env.locations.base(request),
  };
}

/** It is kept with every event, for as long as an endpoint is away. */
function clipped(header: string | null): string {
  return (header ?? "").slice(0, 512);
}

function tellPull(
  { route, reply, origin }: { route: Route; reply: Reply; origin: RequestOrigin },
  pulls: PullListener,
): void {
  if (route.kind !== "manifest" && route.kind !== "blob") return;
  const digest = reply.headers["Docker-Content-Digest"];
  if (digest === undefined || !isDigest(digest)) return;
  const asked = route.kind === "manifest" ? route.reference : "";
  pulls.pulled({
    what: route.kind,
    repository: route.repository,
    digest,
    tag: isTag(asked) ? asked : null,
    mediaType: reply.headers["Content-Type"] ?? "",
    sizeBytes: reply.sizeBytes ?? 0,
    origin,
  });
}
