// The server behind `http.debug.addr`: health for load balancers. Not for the public.
import { listen } from "./listen.ts";
import type { ListenOn } from "./options.ts";
import type { HealthChecks } from "./ports.ts";
import { jsonReply, textReply, toResponse } from "./reply.ts";
import { type RunningServer, running } from "./server.ts";
import { splitTarget } from "./target.ts";

/** @throws Error when the address is taken or not of this machine. */
export async function startDebugServer(on: ListenOn, health: HealthChecks): Promise<RunningServer> {
  const server = await listen(on, {
    fetch: (request) => answer(request, health),
    error: () => new Response("the request failed\n", { status: 500 }),
  });
  return running(server, on, 0);
}

/** `{}` with 200, or the failing checks with 503, as the classic registry answers. */
function answer(request: Request, health: HealthChecks): Response {
  const { path } = splitTarget(request.url);
  if (path !== "/debug/health") {
    const reply = textReply(404, "there is only /debug/health\n", { "Content-Type": "text/plain" });
    return toResponse(reply, request.method, {});
  }
  const failing = health.failing();
  const status = Object.keys(failing).length === 0 ? 200 : 503;
  return toResponse(jsonReply(status, failing), request.method, {});
}
