// An event as the classic registry sends it (notifications/event.go of distribution). Events of runs have
// one part more, which the classic has none of.
import type { RegistryEvent } from "../registry/ports/index.ts";

/** Which registry tells it. */
export interface EventSource {
  readonly addr: string;
  /** Changes with each start. */
  readonly instanceId: string;
}

/** How an event is told to one endpoint. */
export interface Telling {
  /** Another word for it, which the endpoint knows. */
  readonly action: RegistryEvent["action"];
  /** Descriptors of what a manifest refers to; null: they are not told. */
  readonly references: readonly object[] | null;
}

/** Of events that are about a run: what its figures are called, and the media type by which they are ignored. */
const runs = {
  collect: { name: "collection", mediaType: "application/vnd.plimsoll.collection.v1+json" },
  retain: { name: "retention", mediaType: "application/vnd.plimsoll.retention.v1+json" },
} as const;

/** Null: of what was deleted. */
export function mediaTypeOf({ action, mediaType }: RegistryEvent): string | null {
  return action === "collect" || action === "retain" ? runs[action].mediaType : mediaType;
}

/** The body of one message: an envelope of one event, as the classic's are. */
export function envelopeOf(event: RegistryEvent, source: EventSource, telling: Telling): string {
  const { action, origin, run } = event;
  const actor = origin === null ? event.actor : origin.user;
  return JSON.stringify({
    events: [
      {
        id: event.id,
        timestamp: new Date(event.atMs).toISOString(),
        action: telling.action,
        target: { ...targetOf(event), references: telling.references ?? undefined },
        request: {
          id: origin?.requestId ?? "",
          addr: given(origin?.addr),
          host: given(origin?.host),
          method: origin?.method ?? "",
          useragent: origin?.userAgent ?? "",
        },
        actor: { name: given(actor) },
        source: { addr: source.addr, instanceID: source.instanceId },
        ...(action === "collect" || action === "retain" ? { [runs[action].name]: run } : {}),
      },
    ],
  });
}

function targetOf(event: RegistryEvent): object {
  const { digest, origin, repository, what, sizeBytes } = event;
  const path = what === "manifest" ? "manifests" : "blobs";
  const hasUrl = origin !== null && digest !== null && event.action !== "delete";
  return {
    mediaType: mediaTypeOf(event) ?? undefined,
    size: sizeBytes ?? undefined,
    digest: digest ?? undefined,
    length: sizeBytes ?? undefined,
    repository: repository ?? undefined,
    fromRepository: event.fromRepository ?? undefined,
    url: hasUrl ? `${origin.base}${repository}/${path}/${digest}` : undefined,
    tag: event.tag ?? undefined,
  };
}

/** Go leaves empty texts out. */
function given(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
