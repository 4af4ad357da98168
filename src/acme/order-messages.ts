// What the main thread and the worker that speaks with the CA tell each other.
import type { TlsCertificate } from "../http/index.ts";

export interface Order {
  readonly directoryUrl: string;
  /** "": none is given. */
  readonly email: string;
  /** One certificate for all of them. */
  readonly hosts: readonly string[];
  /** In PEM; null: an account is made. Never log it. */
  readonly accountKey: string | null;
}

export type ToOrderWorker =
  | { readonly kind: "order"; readonly order: Order }
  /** A certificate that nobody vouches for. */
  | { readonly kind: "stand-in"; readonly hosts: readonly string[] }
  /** The first "account" or "challenge" that was not yet, is dealt with. */
  | { readonly kind: "taken" };

export type FromOrderWorker =
  | { readonly kind: "account"; readonly key: string }
  /** Whoever asks for this token is to be given this answer. */
  | { readonly kind: "challenge"; readonly token: string; readonly answer: string }
  | { readonly kind: "certificate"; readonly certificate: TlsCertificate }
  | { readonly kind: "failed"; readonly message: string };
