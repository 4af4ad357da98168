// Refuses passwords from where too many wrong ones came: of one user's name from one address, and ten
// times as many of whatever names from one address. Who is behind the same address with a password that
// was right a moment ago goes on.
import { TooManyRequestsError } from "../../oci/index.ts";
import type { AccessController, Credentials } from "../../registry/ports/access.ts";
import { addressKey, neighbourhood } from "./address-key.ts";
import { ClientTable } from "./client-table.ts";
import type { LoginLimits } from "./options.ts";
import { Meter, type Rate } from "./rate.ts";

/** Names that one address may get wrong as often as one of them. */
const namesMax = 10;

type Basic = Extract<Credentials, { kind: "basic" }>;

export class LoginGate {
  readonly #options: () => LoginLimits | null;
  readonly #now: () => number;
  /** By address, and by address and name: what is behind the space is no part of a network. */
  readonly #failures = new ClientTable(() => new Meter(), {
    neighbourhood: (key) => neighbourhood(key.split(" ", 1)[0] ?? ""),
  });
  readonly #seed = BigInt(Math.floor(Math.random() * 2 ** 32));

  constructor(options: () => LoginLimits | null, now: () => number) {
    this.#options = options;
    this.#now = now;
  }

  /**
   * Runs a check of credentials, unless too many have failed.
   * @param isRefused whether the outcome says that they are wrong
   * @throws TooManyRequestsError
   */
  async pass<Outcome>(
    from: {
      readonly caller: string;
      readonly credentials: Credentials;
      readonly controller: AccessController;
    },
    check: () => Promise<Outcome>,
    isRefused: (outcome: Outcome) => boolean,
  ): Promise<Outcome> {
    const limits = this.#options();
    const { credentials } = from;
    // Where passwords are not taken, none is wrong.
    const takesPasswords = from.controller.passwordRealm !== null;
    if (limits === null || credentials.kind !== "basic" || !takesPasswords) return await check();
    const keys = this.#keysOf(from.caller, credentials);
    const waitMs = this.#waitMs(keys, limits);
    if (waitMs > 0 && from.controller.knows?.(credentials) !== true) {
      throw tooManyFailures(limits, waitMs);
    }
    const outcome = await check();
    if (isRefused(outcome)) this.#failed(keys, limits);
    // Whoever knows the password has mistyped it before. What other names were tried is not forgiven.
    else this.#failures.find(keys.name)?.forget();
    return outcome;
  }

  #keysOf(caller: string, { user }: Basic): { readonly address: string; readonly name: string } {
    const address = addressKey(caller);
    // Names are as long as a header; their hashes are not.
    return { address, name: `${address} ${Bun.hash.wyhash(user, this.#seed)}` };
  }

  #waitMs(keys: { readonly address: string; readonly name: string }, limits: LoginLimits): number {
    const nowMs = this.#now();
    const { name, address } = ratesOf(limits);
    return Math.max(
      this.#failures.find(keys.name)?.peek(name, nowMs) ?? 0,
      this.#failures.find(keys.address)?.peek(address, nowMs) ?? 0,
    );
  }

  #failed(keys: { readonly address: string; readonly name: string }, limits: LoginLimits): void {
    const nowMs = this.#now();
    const { name, address } = ratesOf(limits);
    this.#failures.of(keys.name, nowMs).take(name, nowMs);
    this.#failures.of(keys.address, nowMs).take(address, nowMs);
  }
}

function ratesOf({ failuresMax, windowMs }: LoginLimits): {
  readonly name: Rate;
  readonly address: Rate;
} {
  const perSecond = (failuresMax * 1000) / windowMs;
  return {
    name: { perSecond, burst: failuresMax },
    address: { perSecond: perSecond * namesMax, burst: failuresMax * namesMax },
  };
}

function tooManyFailures({ failuresMax }: LoginLimits, waitMs: number): TooManyRequestsError {
  return new TooManyRequestsError(
    `too many logins from your address have failed (http.limits.logins allows ${failuresMax}); log in again with the right password after the time in Retry-After`,
    { limit: "logins", retryAfterSeconds: waitMs / 1000 },
  );
}
