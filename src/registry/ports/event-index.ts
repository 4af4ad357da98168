// The queue of events for those who are to be notified. An event of a change is written in the change's
// own transaction; what was taken out is forgotten only when every endpoint has had it.
import type { Digest, RepositoryName, Tag } from "../../oci/index.ts";
import type { RequestOrigin } from "./request-origin.ts";

export interface RegistryEvent {
  /** Random; the same whenever it is sent again. */
  readonly id: string;
  readonly atMs: number;
  /** `collect`, `retain`: a run is over. */
  readonly action: "push" | "pull" | "mount" | "delete" | "restore" | "collect" | "retain";
  /** `repository`: all of one was deleted. */
  readonly what: "manifest" | "blob" | "tag" | "repository" | "run";
  /** Null of a run. */
  readonly repository: RepositoryName | null;
  readonly digest: Digest | null;
  readonly tag: Tag | null;
  /** Null of what was deleted, as the size is. */
  readonly mediaType: string | null;
  readonly sizeBytes: number | null;
  /** Of a mount. */
  readonly fromRepository: RepositoryName | null;
  /** Null: of no request. */
  readonly origin: RequestOrigin | null;
  /** Who did it, where no request did; absent: nobody knows. */
  readonly actor?: string;
  /** Of a run: its figures, as they are told. */
  readonly run?: Readonly<Record<string, unknown>>;
}

export interface QueuedEvent {
  /** Ascending. */
  readonly position: number;
  readonly event: RegistryEvent;
}

/** Of one event in the queue. */
export interface EventPlace {
  readonly position: number;
  readonly id: string;
}

export interface EventIndex {
  /**
   * From now on events are queued for these endpoints, and for no other. One that is new gets what
   * happens from now on; one that is not asked for any more gets nothing. None: nothing is queued.
   * What nobody wants any more goes a page at a time: true, there is more of it for `forgetEvents`.
   */
  setEventEndpoints(names: readonly string[]): Promise<boolean>;
  /** Takes the next page of what everybody has had, or nobody wants, out of the queue; whether there is more. */
  forgetEvents(): Promise<boolean>;
  /** The oldest that the endpoint has not had; null: no such endpoint (the index was built anew). */
  nextEvents(endpoint: string, limit: number): Promise<readonly QueuedEvent[] | null>;
  /**
   * The endpoint has had all up to this one. Idempotent; never goes back.
   * An index that was built anew counts positions anew: what was taken out of the lost one has other ids,
   * and settles nothing of it.
   */
  settleEvents(endpoint: string, upTo: EventPlace): Promise<void>;
  /**
   * Of what changes nothing: pulls. Nothing is kept when nobody is to be notified, or while so many events
   * wait already that these would take the place of changes. Whether they were kept.
   */
  queueEvents(events: readonly RegistryEvent[]): Promise<boolean>;
}
