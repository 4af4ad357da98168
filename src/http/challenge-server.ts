// The server that a CA asks whether a host is ours (ACME's HTTP-01, RFC 8555, 8.3): answers the tokens that
// are asked for right now, and sends everybody else to https. It is reached by anybody, usually on port 80:
// bodies and slow requests are refused, nothing of the registry is behind it.
import { listen } from "./listen.ts";
import type { ListenOn } from "./options.ts";
import { textReply, toResponse } from "./reply.ts";
import { type RunningServer, running } from "./running-server.ts";
import { splitTarget } from "./target.ts";

const challengePath = "/.well-known/acme-challenge/";

/** As base64url; the RFC asks for at least 128 bits, CAs use 256. */
const tokenForm = /^[\w-]{16,256}$/;

const limits = { idleSeconds: 10, maxRequestBodySize: 64 * 1024 } as const;

export interface ChallengeParts {
  /** Null: no token of ours. */
  readonly answerTo: (token: string) => string | null;
  /** Those that clients are sent to, if they named one of them. */
  readonly hosts: readonly string[];
  /** `http.host`, where clients are sent to if that is https; else, or null: to port 443 of the host that they named. */
  readonly host: string | null;
}

/** @throws Error when the address is taken or not of this machine. */
export async function startChallengeServer(
  on: ListenOn,
  parts: ChallengeParts,
): Promise<RunningServer> {
  const server = await listen(on, {
    fetch: (request) => answer(request, parts),
    error: () => new Response("the request failed\n", { status: 500 }),
    ...limits,
  });
  return running(server, on, () => server.stop(true));
}

const plain = { "Content-Type": "text/plain; charset=utf-8" };

function answer(request: Request, parts: ChallengeParts): Response {
  if (request.method !== "GET" && request.method !== "HEAD") {
    // Whoever sends a password or a layer without TLS should learn that, and not be helped to do it twice.
    return toResponse(
      textReply(400, "use https\n", { ...plain, Connection: "close" }),
      request,
      {},
    );
  }
  const { path, query } = splitTarget(request.url);
  if (path.startsWith(challengePath)) {
    const token = path.slice(challengePath.length);
    const found = tokenForm.test(token) ? parts.answerTo(token) : null;
    const said = found === null ? textReply(404, "no such challenge\n", plain) : null;
    const type = { "Content-Type": "application/octet-stream", "Cache-Control": "no-store" };
    return toResponse(said ?? textReply(200, found ?? "", type), request, {});
  }
  const base = baseOf(request, parts);
  if (base === null) return toResponse(textReply(404, "no such host\n", plain), request, {});
  const location = `${base}${path}${query === "" ? "" : `?${query}`}`;
  return toResponse(textReply(302, "", { ...plain, Location: location }), request, {});
}

/** Null: nobody is sent where a client says, but to our hosts. */
function baseOf(request: Request, { host, hosts }: ChallengeParts): string | null {
  // An http:// one leads back here, again and again.
  if (host?.startsWith("https:") === true) return host;
  const named = (request.headers.get("host") ?? "").toLowerCase().replace(/:\d{1,5}$/, "");
  return hosts.includes(named) ? `https://${named}` : null;
}
