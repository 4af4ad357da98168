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

interface Keys {
  readonly address: string;
  readonly name: string;
}

type Basic = Extract<Credentials, { kind: "basic" }>;

export class LoginGate {
  readonly #options: () => LoginLimits | null;
  readonly #now: () => number;
  /** By address, and by address and name: what is behind the space is no part of a network. */
  readonly #failures = new ClientTable(() => new Meter(), {
    neighbourhood: (key) => neighbourhood(key.split(" ", 1)[0] ?? ""),
  });
  /** Checks whose outcome is not known yet, by the same keys. */
  readonly #underWay = new Map<string, number>();
  /** Told when one of an address has come out. */
  readonly #outcomes = new Map<string, PromiseWithResolvers<void>>();
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
    await this.#begin(keys, () => from.controller.knows?.(credentials) === true);
    try {
      const outcome = await check();
      if (isRefused(outcome)) this.#failed(keys, limits);
      // Whoever knows the password has mistyped it before. What other names were tried is not forgiven.
      else this.#failures.forget(keys.name);
      return outcome;
    } finally {
      this.#end(keys);
    }
  }

  /**
   * While those under way, if they all failed, would be as many as may fail, the next one waits for an
   * outcome: guesses that come together would all be looked at otherwise.
   * @throws TooManyRequestsError
   */
  async #begin(keys: Keys, isKnown: () => boolean): Promise<void> {
    for (;;) {
      // They may have been changed meanwhile.
      const limits = this.#options();
      const underWay = (key: string): number => this.#underWay.get(key) ?? 0;
      if (limits === null || this.#waitMs(keys, limits, underWay) === 0 || isKnown()) break;
      const waitMs = this.#waitMs(keys, limits, () => 0);
      if (waitMs > 0) throw tooManyFailures(limits, waitMs);
      const outcome = this.#outcomes.get(keys.address) ?? Promise.withResolvers<void>();
      this.#outcomes.set(keys.address, outcome);
      await outcome.promise;
    }
    for (const key of [keys.name, keys.address]) {
      this.#underWay.set(key, (this.#underWay.get(key) ?? 0) + 1);
    }
  }

  #end(keys: Keys): void {
    for (const key of [keys.name, keys.address]) {
      const left = (this.#underWay.get(key) ?? 0) - 1;
      if (left > 0) this.#underWay.set(key, left);
      else this.#underWay.delete(key);
    }
    this.#outcomes.get(keys.address)?.resolve();
    this.#outcomes.delete(keys.address);
  }

  #keysOf(caller: string, { user }: Basic): Keys {
    const address = addressKey(caller);
    // Names are as long as a header; their hashes are not.
    return { address, name: `${address} ${Bun.hash.wyhash(user, this.#seed)}` };
  }

  #waitMs(keys: Keys, limits: LoginLimits, more: (key: string) => number): number {
    const nowMs = this.#now();
    const { name, address } = ratesOf(limits);
    const wait = (key: string, rate: Rate): number =>
      (this.#failures.find(key) ?? new Meter()).peek(rate, nowMs, more(key));
    return Math.max(wait(keys.name, name), wait(keys.address, address));
  }

  #failed(keys: Keys, limits: LoginLimits): void {
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
