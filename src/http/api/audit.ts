// One log line for each request that would change something, carried out or refused: who, what, from where,
// what came of it.
import type { Failure } from "../error-response.ts";
import type { Logger } from "../ports.ts";
import type { Reply } from "../reply.ts";
import type { Operation } from "./operation.ts";

export interface Audited {
  readonly operation: Operation;
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
    action: operation.id,
    repository: parameters["name"],
    reference: parameters["reference"] ?? parameters["tag"],
    by: caller,
    from: remote,
    userAgent: request.headers.get("user-agent") ?? "",
    outcome: failure === null ? "accepted" : `refused: ${failure.code}`,
    status: reply.status,
    requestId,
  });
}
