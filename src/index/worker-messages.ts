// What the main thread and the index worker say to each other.
import type { StorageErrorCode } from "../registry/ports/storage.ts";
import type { Call } from "./batch.ts";

export type ToWorker =
  | { readonly kind: "open"; readonly path: string; readonly rootDirectory: string }
  | { readonly kind: "call"; readonly call: Call }
  | { readonly kind: "checkpoint"; readonly id: number }
  | { readonly kind: "close"; readonly id: number };

/** An error on its way between threads, where classes get lost. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly storageCode: StorageErrorCode | null;
  readonly damage: boolean;
}

export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: PlainError }
  | { readonly id: number; readonly ok: null };

export type FromWorker =
  | { readonly kind: "opened" }
  | { readonly kind: "refused"; readonly error: PlainError }
  | { readonly kind: "answers"; readonly answers: readonly Answer[] };
