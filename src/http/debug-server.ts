// The server behind `http.debug.addr`: health and probes for load balancers, metrics for Prometheus,
// profiles for whoever looks into a slow registry. Not for the public; a heap snapshot, which shows passwords,
// is for this machine alone: the classic's `debug.addr: :5001` opens the address to everybody.
import { listen } from "./listen.ts";
import type { ListenOn } from "./options.ts";
import type { HealthChecks, MetricsText, ProfileMaker, Readiness } from "./ports.ts";
import { plainAddress } from "./peer.ts";
import { Probes } from "./probes.ts";
import { jsonReply, type Reply, textReply, toResponse } from "./reply.ts";
import { type RunningServer, running } from "./running-server.ts";
import { queryValue, splitTarget } from "./target.ts";

export interface DebugParts {
  readonly health: HealthChecks;
  readonly readiness: Readiness;
  /** Null: `http.debug.prometheus` is not enabled. */
  readonly metrics: MetricsText | null;
  readonly profiles: ProfileMaker;
}

const plain = { "Content-Type": "text/plain; charset=utf-8" };

const elsewhere =
  "a heap snapshot shows passwords, so only this machine gets one: ask for it by 127.0.0.1 (ssh -L, kubectl port-forward)\n";

/** Of a CPU profile, when nothing is asked for. */
const profileSecondsDefault = 10;

/** @throws Error when the address is taken or not of this machine. */
export async function startDebugServer(on: ListenOn, parts: DebugParts): Promise<RunningServer> {
  const probes = new Probes(parts.readiness);
  const server = await listen(on, {
    fetch: async (request, listening) => {
      const probed = await probes.answer(request);
      if (probed !== null) return probed;
      const peer = listening.requestIP(request)?.address ?? "";
      return toResponse(await answerDebug(request, peer, parts), request, {});
    },
    error: () => new Response("the request failed\n", { status: 500 }),
  });
  return running(server, on, () => server.stop(true));
}

/** @param peer the address at the other end of the connection */
export async function answerDebug(
  request: Request,
  peer: string,
  parts: DebugParts,
): Promise<Reply> {
  const { path, query } = splitTarget(request.url);
  if (request.method !== "GET" && request.method !== "HEAD") {
    return textReply(405, "only GET and HEAD\n", { ...plain, Allow: "GET, HEAD" });
  }
  const { metrics } = parts;
  if (metrics !== null && path === metrics.path) {
    return textReply(200, await metrics.text(), { "Content-Type": metrics.contentType });
  }
  switch (path) {
    case "/debug/health":
      return healthReply(parts.health);
    case "/debug/pprof/profile":
      return await profileReply(request, query, parts.profiles);
    case "/debug/pprof/heap":
      if (!/^(?:127\.|::1$)/.test(plainAddress(peer))) return textReply(403, elsewhere, plain);
      if (request.method === "HEAD") return textReply(200, "", plain);
      return await made("heap.heapsnapshot", () => parts.profiles.heap());
    default:
      return textReply(404, `there is only ${paths(metrics).join(", ")}\n`, plain);
  }
}

function paths(metrics: MetricsText | null): string[] {
  const all = ["/debug/health", "/livez", "/readyz", "/debug/pprof/heap", "/debug/pprof/profile"];
  return metrics === null ? all : [metrics.path, ...all];
}

/** `{}` with 200, or the failing checks with 503, as the classic registry answers. */
function healthReply(health: HealthChecks): Reply {
  const failing = health.failing();
  return jsonReply(Object.keys(failing).length === 0 ? 200 : 503, failing);
}

async function profileReply(
  request: Request,
  query: string,
  profiles: ProfileMaker,
): Promise<Reply> {
  const given = queryValue(query, "seconds") ?? String(profileSecondsDefault);
  const seconds = /^\d{1,4}$/.test(given) ? Number(given) : 0;
  if (seconds < 1 || seconds > profiles.secondsMax) {
    const expected = `a whole number from 1 to ${profiles.secondsMax}`;
    return textReply(400, `seconds=${given.slice(0, 20)}: expected ${expected}\n`, plain);
  }
  if (request.method === "HEAD") return textReply(200, "", plain);
  return await made("registry.cpuprofile", () => profiles.cpu(seconds, request.signal));
}

async function made(name: string, make: () => Promise<string>): Promise<Reply> {
  try {
    return textReply(200, await make(), {
      "Content-Type": "application/json",
      "Content-Disposition": `attachment; filename="${name}"`,
      "Cache-Control": "no-store",
    });
  } catch (error) {
    if (!(error instanceof Error) || !("retryAfterSeconds" in error)) throw error;
    const retryAfter = String(error.retryAfterSeconds);
    return textReply(429, `${error.message}\n`, { ...plain, "Retry-After": retryAfter });
  }
}
