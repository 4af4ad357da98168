// Which request is being answered, for the events that its changes leave. Travels beside the calls and not
// in them: no rule of the domain depends on it. Set only while somebody is to be notified.
import { AsyncLocalStorage } from "node:async_hooks";

export interface RequestOrigin {
  readonly requestId: string;
  /** Address and port of the client, or "unix". */
  readonly addr: string;
  /** As the client names the registry. */
  readonly host: string;
  readonly method: string;
  readonly userAgent: string;
  /** Who is logged in; "": nobody, or not known yet. */
  user: string;
  /** The registry's own URL up to and including "v2/". */
  readonly base: string;
}

export const requestOrigin = new AsyncLocalStorage<RequestOrigin>();

/** What a request only sets off: it is done for nobody in particular. */
export function forNobody<Result>(work: () => Result): Result {
  return requestOrigin.exit(work);
}
