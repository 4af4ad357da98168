// Asks the index again when it has no time at the moment. For what may be asked any number of times.
import { UnavailableError } from "../oci/index.ts";

/** How often a change is offered again to an index that has no time for it. */
const triesMax = 20;
const retryMs = 500;

/** @throws the signal's reason, or what the index says at last. */
export async function patiently<Result>(
  ask: () => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted();
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof UnavailableError) || tries === triesMax) throw error;
      await Bun.sleep(retryMs);
    }
  }
}
