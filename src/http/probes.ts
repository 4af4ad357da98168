// `/livez` and `/readyz`, as Kubernetes asks them: on the debug address, and beside `/v2/` too, where no
// path of the API can begin like that. Without a login, and in no log: they come every few seconds.
import type { Readiness } from "./ports.ts";
import { textReply, toResponse } from "./reply.ts";
import { splitTarget } from "./target.ts";

export const alwaysReady: Readiness = { notReady: () => Promise.resolve(null) };

export class Probes {
  readonly #readiness: Readiness;

  constructor(readiness: Readiness) {
    this.#readiness = readiness;
  }

  /** Null: it is no probe. Asked of every request, so it looks at the last letter first. */
  answer(request: Request): Promise<Response> | null {
    if (!request.url.endsWith("z")) return null;
    const { path } = splitTarget(request.url);
    // Whoever gets this answer is alive; a restart helps nobody who is merely not ready.
    if (path === "/livez") return Promise.resolve(said(request, 200, "ok"));
    return path === "/readyz" ? this.#ready(request) : null;
  }

  async #ready(request: Request): Promise<Response> {
    const why = await this.#readiness.notReady();
    return why === null ? said(request, 200, "ok") : said(request, 503, why);
  }
}

function said(request: Request, status: number, text: string): Response {
  const headers = { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" };
  return toResponse(textReply(status, `${text}\n`, headers), request, {});
}
