// Holds clients to `http.limits`: requests, uploads at the same time, bandwidth, each by address and by
// user, and logins that fail. What is in force can be replaced while the server runs; what clients have
// used by then still counts. Design of the tables: client-table.ts. Documentation: docs/limits.md.
import { type LimitName, TooManyRequestsError } from "../../oci/index.ts";
import { addressKey, neighbourhood } from "./address-key.ts";
import { ClientTable } from "./client-table.ts";
import { ClientUse } from "./client-use.ts";
import { LoginGate } from "./login-gate.ts";
import type { ClientLimits, LimitsOptions } from "./options.ts";

type Kind = "address" | "user";

/** There is no telling when an upload ends; few take less. */
const uploadRetrySeconds = 10;

export class Limits {
  readonly #now: () => number;
  readonly #addresses = new ClientTable(() => new ClientUse(), { neighbourhood });
  /** There are as many as the operator has made; a token server may know more. */
  readonly #users = new ClientTable(() => new ClientUse(), { neighbourhood: () => "" });
  readonly logins: LoginGate;
  #options: LimitsOptions;
  #isOff: boolean;

  /** @param now a clock that never goes back, in milliseconds */
  constructor(options: LimitsOptions, now: () => number = () => performance.now()) {
    this.#options = options;
    this.#isOff = isOff(options);
    this.#now = now;
    this.logins = new LoginGate(() => this.#options.logins, now);
  }

  get options(): LimitsOptions {
    return this.#options;
  }

  /** From now on these hold, for requests that are under way too. */
  replace(options: LimitsOptions): void {
    this.#options = options;
    this.#isOff = isOff(options);
  }

  /** Null: nothing that clients do is counted. */
  visitor(caller: string): Visitor | null {
    return this.#isOff ? null : new Visitor(this, caller);
  }

  now(): number {
    return this.#now();
  }

  limitsOf(kind: Kind): ClientLimits {
    return this.#options[kind];
  }

  useOf(kind: Kind, key: string): ClientUse {
    const table = kind === "address" ? this.#addresses : this.#users;
    return table.of(key, this.#now());
  }
}

/** Who a request comes from, and what it uses. */
export class Visitor {
  readonly #limits: Limits;
  readonly #keys: { readonly kind: Kind; readonly key: string }[];
  #borrows = false;

  constructor(limits: Limits, caller: string) {
    this.#limits = limits;
    this.#keys = [{ kind: "address", key: addressKey(caller) }];
  }

  /**
   * Counts the request.
   * @param borrows clients do not ask again with a body: such a request is let in a little beyond the limit
   * @throws TooManyRequestsError
   */
  enter(borrows: boolean): void {
    this.#borrows = borrows;
    this.#count("address");
  }

  /** Now it is known who asks, if anybody in particular. @throws TooManyRequestsError */
  identify(user: string | null): void {
    if (user === null || this.#keys.length > 1) return;
    this.#keys.push({ kind: "user", key: user.slice(0, 256) });
    this.#count("user");
  }

  #count(kind: Kind): void {
    const rate = this.#limits.limitsOf(kind).requests;
    if (rate === null) return;
    const borrowed = this.#borrows ? rate.burst : 0;
    const waitMs = this.#useOf(kind).requests.take(rate, this.#limits.now(), borrowed);
    if (waitMs === 0) return;
    throw new TooManyRequestsError(
      `too many requests ${from(kind)}: http.limits.${kind}.requests allows ${rate.perSecond} a second; slow down, and ask again after the time in Retry-After`,
      { limit: nameOf(kind, "requests"), retryAfterSeconds: waitMs / 1000 },
    );
  }

  /** Before a session is opened for which there will be no turn. @throws TooManyRequestsError */
  checkUploads(): void {
    for (const { kind } of this.#keys) {
      const { uploadsMax } = this.#limits.limitsOf(kind);
      if (uploadsMax !== null && !this.#useOf(kind).hasPlace(uploadsMax)) {
        throw tooManyUploads(kind, uploadsMax);
      }
    }
  }

  /** Receives a body when it is its turn. @throws TooManyRequestsError */
  async upload<T>(signal: () => AbortSignal, work: () => Promise<T>): Promise<T> {
    const releases: (() => void)[] = [];
    try {
      // The user's turn first: who waits for it must not hold what others of the same address wait for.
      for (const { kind } of this.#keys.toReversed()) {
        const { uploadsMax } = this.#limits.limitsOf(kind);
        if (uploadsMax === null) continue;
        const use = this.#useOf(kind);
        if (!(await use.beginUpload(uploadsMax, signal))) {
          signal().throwIfAborted();
          throw tooManyUploads(kind, uploadsMax);
        }
        releases.push(() => {
          use.endUpload(this.#limits.limitsOf(kind).uploadsMax ?? Number.POSITIVE_INFINITY);
        });
      }
      return await work();
    } finally {
      for (const release of releases) release();
    }
  }

  /** How long to wait before more is received. */
  received(bytes: number): number {
    return this.#book("receiveBytesPerSecond", bytes);
  }

  /** How long to wait before more is sent. */
  sent(bytes: number): number {
    return this.#book("sendBytesPerSecond", bytes);
  }

  /** Whether what is sent has to wait at all. */
  get isSendingPaced(): boolean {
    return this.#keys.some(({ kind }) => this.#limits.limitsOf(kind).sendBytesPerSecond !== null);
  }

  #book(what: "receiveBytesPerSecond" | "sendBytesPerSecond", bytes: number): number {
    let waitMs = 0;
    for (const { kind } of this.#keys) {
      const rate = this.#limits.limitsOf(kind)[what];
      if (rate === null) continue;
      const use = this.#useOf(kind);
      const pace = what === "receiveBytesPerSecond" ? use.receiving : use.sending;
      waitMs = Math.max(waitMs, pace.book(bytes, rate, this.#limits.now()));
    }
    return waitMs;
  }

  #useOf(kind: Kind): ClientUse {
    const key = this.#keys.find((one) => one.kind === kind)?.key ?? "";
    return this.#limits.useOf(kind, key);
  }
}

function isOff({ address, user }: LimitsOptions): boolean {
  return [address, user].every((limits) => Object.values(limits).every((one) => one === null));
}

function nameOf(kind: Kind, what: "requests" | "uploads"): LimitName {
  return `${kind}.${what}`;
}

function from(kind: Kind): string {
  return kind === "address" ? "from your address" : "of your user";
}

function tooManyUploads(kind: Kind, uploadsMax: number): TooManyRequestsError {
  return new TooManyRequestsError(
    `too many uploads ${from(kind)} at the same time: http.limits.${kind}.uploads allows ${uploadsMax}, and as many as may wait do; push again when others have ended`,
    { limit: nameOf(kind, "uploads"), retryAfterSeconds: uploadRetrySeconds },
  );
}
