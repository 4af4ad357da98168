// Audit lines of commands: who had what done, and how it ended. What is asked for over HTTP leaves its lines
// there (http/api/audit.ts), deletions and restores theirs (registry/audit.ts).
import { type TokenEvent, tokenCommandBy } from "../auth/index.ts";
import type { Logger } from "../observability/index.ts";
import { parseVerifyOptions } from "../takeover/verify-events.ts";

/** Over the API the request leaves such a line. */
export function auditRepair(logger: Logger, options: unknown): void {
  const { hash, repair, user } = parseVerifyOptions(options);
  if (!repair) return;
  logger.info("audit", { action: "repair", hash, ...from(user ?? null), outcome: "accepted" });
}

/** What a command on robot tokens has done; never its secret. */
export function auditToken(logger: Logger, options: unknown, event: TokenEvent): void {
  const by = from(tokenCommandBy(options));
  switch (event.kind) {
    case "token":
      return;
    case "created": {
      const { id, user, repositories, actions, expiresAtMs } = event.token;
      logger.info("audit", {
        action: "createToken",
        reference: id,
        user,
        actions: actions.join(","),
        repositories: repositories.join(","),
        expires: expiresAtMs === null ? "never" : new Date(expiresAtMs).toISOString(),
        ...by,
        outcome: "created",
      });
      return;
    }
    case "full":
      logger.info("audit", { action: "createToken", ...by, outcome: "refused" });
      return;
    default:
      logger.info("audit", {
        action: "revokeToken",
        reference: event.id.slice(0, 100),
        ...by,
        outcome: event.kind,
      });
  }
}

function from(user: string | null): { readonly by: string; readonly from: string } {
  return { by: user ?? "command", from: "command line" };
}
