// How a server stops: requests under way end, new ones are told 503 and that the connection ends, on
// connections that are kept and on new ones, because whoever balances load learns of the stop later than
// the first of its clients. When nothing is under way, or the time is over, the listener is closed.
import { UnavailableError } from "../oci/index.ts";
import type { Stoppable } from "./listener.ts";
import type { Logger } from "./ports.ts";

/** The runtime tells of no end of a body, so it is looked at. */
const lookEveryMs = 20;

/** For connections that are open without a request; one may be in the middle of its first line. */
const idleCloseMs = 100;

/** What the handler asks before it begins with a request, and before it answers. */
export class Stopping {
  #isOn = false;

  get isOn(): boolean {
    return this.#isOn;
  }

  begin(): void {
    this.#isOn = true;
  }

  /** @throws UnavailableError */
  refuseNew(): void {
    if (this.#isOn) throw new UnavailableError("the registry is stopping");
  }

  /** The runtime closes a connection whose answer says so. */
  answered(response: Response): Response {
    if (this.#isOn) response.headers.set("Connection", "close");
    return response;
  }
}

export interface Stop {
  readonly stopping: Stopping;
  /** 0: what is under way is cut off. */
  readonly drainTimeoutMs: number;
  readonly logger: Pick<Logger, "info" | "warn">;
}

/** May be called again while it runs. */
export async function stopServer(server: Stoppable, stop: Stop): Promise<void> {
  const { stopping, drainTimeoutMs, logger } = stop;
  if (!stopping.isOn && drainTimeoutMs > 0 && server.pendingRequests > 0) {
    const seconds = Math.ceil(drainTimeoutMs / 1000);
    logger.info(`requests under way are given ${seconds} s to end; new ones are refused`);
  }
  stopping.begin();
  const endMs = performance.now() + drainTimeoutMs;
  while (server.pendingRequests > 0 && performance.now() < endMs) await Bun.sleep(lookEveryMs);
  const cut = server.pendingRequests;
  if (cut > 0) logger.warn(`requests cut off by the stop: ${cut}`);
  else await Promise.race([server.stop(), Bun.sleep(idleCloseMs)]);
  await server.stop(true);
}
