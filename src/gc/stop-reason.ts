// Why a collection stopped before its end. What is left stays in the queue, and the next run goes on.

export type StopReason =
  /** Somebody asked for more than a background run does, and it made room for them. */
  | "gave-way"
  /** `gc.window` closed. */
  | "window"
  /** `gc.maxduration` was over. */
  | "maxduration"
  /** Somebody asked for it to stop. */
  | "asked"
  /** Its settings were changed while it ran: it goes on by the new ones. */
  | "reloaded"
  /** The process stops. */
  | "stopping"
  /** Nobody who asked for it is left. */
  | "given-up";

/** Aborts a collection, as the reason of its signal. */
export class CollectionStop extends Error {
  constructor(readonly reason: StopReason) {
    super(stopTexts[reason]);
    this.name = "CollectionStop";
  }
}

export const stopTexts: Readonly<Record<StopReason, string>> = {
  "gave-way": "it gave way to somebody who asked for more",
  window: "the window of time for it (gc.window) closed",
  maxduration: "it had taken as long as it may (gc.maxduration)",
  asked: "somebody asked for it to stop",
  reloaded: "its settings were changed",
  stopping: "the registry is stopping",
  "given-up": "nobody who asked for it is left",
};

export function stopReasonOf(signal: AbortSignal): StopReason | null {
  if (!signal.aborted) return null;
  return signal.reason instanceof CollectionStop ? signal.reason.reason : "given-up";
}
