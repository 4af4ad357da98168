// Who deleted and restored what: one structured line each. The port that whoever logs fills in, and the
// line's fields.
import type { RepositoryName } from "../oci/index.ts";
import type { Caller } from "./ports/index.ts";

/** Who asks for a change, and from where. */
export interface Actor {
  readonly caller: Caller;
  /** An address, or `command line`. */
  readonly from: string;
}

/** Who is not logged in is known by the address alone, and asks from there. */
export function actorOf(by: Caller | Actor): Actor {
  return typeof by === "string" ? { caller: by, from: by } : by;
}

export interface AuditEntry {
  readonly action: "delete" | "restore";
  readonly what: "tag" | "manifest" | "image" | "blob" | "repository";
  readonly repository: RepositoryName;
  /** Tag or digest; null: the whole repository. */
  readonly reference: string | null;
  readonly actor: Actor;
  readonly outcome: string;
  /** Why it was done; null where nobody said. */
  readonly reason: string | null;
  /** Null: it cannot be undone, or is no deletion. */
  readonly restorableUntilMs: number | null;
}

export interface Audit {
  record(entry: AuditEntry): void;
}

interface AuditLogger {
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export function auditTo(logger: AuditLogger): Audit {
  return {
    record: ({ actor, reference, reason, restorableUntilMs, ...entry }) => {
      logger.info("audit", {
        ...entry,
        ...(reference === null ? {} : { reference }),
        by: actor.caller,
        from: actor.from,
        ...(reason === null ? {} : { reason }),
        ...(restorableUntilMs === null
          ? {}
          : { restorableUntil: new Date(restorableUntilMs).toISOString() }),
      });
    },
  };
}
