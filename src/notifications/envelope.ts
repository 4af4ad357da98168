// An event as the classic registry sends it (notifications/event.go of distribution).
import type { RegistryEvent } from "../registry/ports/index.ts";

/** Which registry tells it. */
export interface EventSource {
  readonly addr: string;
  /** Changes with each start. */
  readonly instanceId: string;
}

/** The body of one message: an envelope of one event, as the classic's are. */
export function envelopeOf(event: RegistryEvent, source: EventSource): string {
  const { origin } = event;
  return JSON.stringify({
    events: [
      {
        id: event.id,
        timestamp: new Date(event.atMs).toISOString(),
        action: event.action,
        target: targetOf(event),
        request: {
          id: origin?.requestId ?? "",
          addr: given(origin?.addr),
          host: given(origin?.host),
          method: origin?.method ?? "",
          useragent: origin?.userAgent ?? "",
        },
        actor: { name: given(origin?.user) },
        source: { addr: source.addr, instanceID: source.instanceId },
      },
    ],
  });
}

function targetOf(event: RegistryEvent): object {
  const { digest, origin, repository, what, sizeBytes, mediaType } = event;
  const path = what === "manifest" ? "manifests" : "blobs";
  const hasUrl = origin !== null && digest !== null && event.action !== "delete";
  return {
    mediaType: mediaType ?? undefined,
    size: sizeBytes ?? undefined,
    digest: digest ?? undefined,
    length: sizeBytes ?? undefined,
    repository,
    fromRepository: event.fromRepository ?? undefined,
    url: hasUrl ? `${origin.base}${repository}/${path}/${digest}` : undefined,
    tag: event.tag ?? undefined,
  };
}

/** Go leaves empty texts out. */
function given(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
