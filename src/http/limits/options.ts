// What `http.limits` says, as plain values. Everything may be replaced while the server runs.
// Documentation: docs/limits.md.
import { manifestBytesMax } from "../../oci/index.ts";

/** What one client may do. Null: as much as it likes. */
export interface ClientLimits {
  readonly requests: { readonly perSecond: number; readonly burst: number } | null;
  /** Uploads whose bytes are being received at the same time; at least 1. */
  readonly uploadsMax: number | null;
  readonly receiveBytesPerSecond: number | null;
  readonly sendBytesPerSecond: number | null;
}

export interface LoginLimits {
  /** Of one user's name from one address within the window; at least 1. */
  readonly failuresMax: number;
  readonly windowMs: number;
}

/** What a sender may not fall below. */
export interface SlowLimits {
  /** 1, or more: of whoever sends nothing, there is no end to wait for. */
  readonly bytesPerSecondMin: number;
  /** Silence, or slowness, of so long is nobody's fault. */
  readonly graceMs: number;
}

export interface LimitsOptions {
  /** Of each client address; an IPv6 client is its /64. */
  readonly address: ClientLimits;
  /** Of each user who is logged in, beside the address's. */
  readonly user: ClientLimits;
  /** Null: any number of passwords may be tried. */
  readonly logins: LoginLimits | null;
  /** Null: only a sender that is silent for `bodySilenceMs` is given up. */
  readonly slow: SlowLimits | null;
  /** How long a connection may be idle between two requests, at most 255 s; 0: for ever. */
  readonly idleMs: number;
  /** Of a manifest that is pushed. */
  readonly manifestBytesMax: number;
  /** Most `?tag=` parameters of one push. */
  readonly tagParametersMax: number;
}

const unlimited: ClientLimits = {
  requests: null,
  uploadsMax: null,
  receiveBytesPerSecond: null,
  sendBytesPerSecond: null,
};

/** For a server that is given none. */
export const noLimits: LimitsOptions = {
  address: unlimited,
  user: unlimited,
  logins: null,
  slow: null,
  idleMs: 0,
  manifestBytesMax,
  tagParametersMax: 100,
};
