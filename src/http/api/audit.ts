// One log line for each request that would change something, carried out or refused: who, what, from where,
// what came of it.
import type { Failure } from "../error-response.ts";
import type { Logger } from "../ports.ts";
import type { Reply } from "../reply.ts";

export interface Audited {
  readonly operation: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly caller: string;
  readonly remote: string;
  readonly request: Request;
  readonly requestId: string;
}

export function audit(
  logger: Logger,
  { operation, parameters, caller, remote, request, requestId }: Audited,
  outcome: { readonly reply: Reply; readonly failure: Failure | null },
): void {
  const { reply, failure } = outcome;
  logger.info("audit", {
    "audit.action": operation,
    "audit.caller": caller,
    "audit.from": remote,
    "audit.outcome": failure === null ? "accepted" : `refused: ${failure.code}`,
    "audit.reference": parameters["reference"] ?? parameters["tag"] ?? parameters["id"],
    "audit.repository": parameters["name"],
    "audit.useragent": request.headers.get("user-agent") ?? "",
    "http.request.id": requestId,
    "http.response.status": reply.status,
  });
}
