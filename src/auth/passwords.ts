// Whether a password is the user's. bcrypt is slow by intent and runs in the pool of threads that also
// reads files, so few checks run at once, callers with the same question share one, and answers are
// remembered for a short while. Who is unknown costs the same as who is not.
import { UnavailableError } from "../oci/index.ts";
import type { Clock } from "../registry/ports/clock.ts";
import { bcryptCost, passwordBytesMax } from "./htpasswd.ts";
import { RecentVerdicts } from "./recent-verdicts.ts";

/** The runtime's pool has more threads than this; the others go on serving files. */
const checksAtOnce = 2;
/** Some seconds of work at the usual cost. Beyond, a client does better to come again. */
const waitingMax = 64;
/** A pull of many layers is over by then; a password that was changed is forgotten with the file. */
const knownForMs = 5 * 60_000;
/** A client that repeats a wrong password every second is not worth a check each. */
const refusedForMs = 5_000;
/** The usual cost of htpasswd files; for a file that names nobody. */
const usualCost = 10;

export interface HashSource {
  readonly version: number;
  readonly hashes: ReadonlyMap<string, string>;
}

export type VerifyHash = (password: Uint8Array, hash: string) => Promise<boolean>;

const verifyBcrypt: VerifyHash = (password, hash) => Bun.password.verify(password, hash, "bcrypt");

export class Passwords {
  readonly #source: HashSource;
  readonly #clock: Clock;
  readonly #verify: VerifyHash;
  readonly #known = new RecentVerdicts<boolean>((isRight) => !isRight);
  readonly #underWay = new Map<string, Promise<boolean>>();
  readonly #waiting: (() => void)[] = [];
  #costs: { readonly of: HashSource["hashes"] | null; readonly all: readonly number[] } = {
    of: null,
    all: [],
  };
  #running = 0;
  #version = -1;

  constructor(source: HashSource, clock: Clock, verify: VerifyHash = verifyBcrypt) {
    this.#source = source;
    this.#clock = clock;
    this.#verify = verify;
  }

  /** @throws UnavailableError when too many checks wait already. */
  async areRight(user: string, password: string): Promise<boolean> {
    const { version } = this.#source;
    if (version !== this.#version) {
      this.#version = version;
      this.#known.clear();
      this.#underWay.clear();
    }
    const key = this.#known.keyOf(user, password);
    const known = this.#known.get(key, this.#clock.now());
    if (known !== undefined) return known;
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return await underWay;
    const check = this.#check(user, password);
    this.#underWay.set(key, check);
    try {
      const isRight = await check;
      // What was asked of a file that has changed since says nothing about the new one.
      if (version === this.#source.version) {
        this.#known.add(key, isRight, this.#clock.now() + (isRight ? knownForMs : refusedForMs));
      }
      return isRight;
    } finally {
      if (this.#underWay.get(key) === check) this.#underWay.delete(key);
    }
  }

  /** Whether it was found to be right not long ago. */
  isKnown(user: string, password: string): boolean {
    if (this.#source.version !== this.#version) return false;
    return this.#known.get(this.#known.keyOf(user, password), this.#clock.now()) === true;
  }

  async #check(user: string, password: string): Promise<boolean> {
    const bytes = new TextEncoder().encode(password);
    const isPossible = bytes.length > 0 && !bytes.includes(0);
    await this.#turn();
    try {
      // Of the file as it is after the wait.
      const { hashes } = this.#source;
      const hash = hashes.get(user);
      const asked = isPossible ? bytes.subarray(0, passwordBytesMax) : new Uint8Array([120]);
      const isRight = await this.#verify(asked, hash ?? this.#decoy(user));
      if (!isRight || !isPossible || hash === undefined) return false;
      // Who was removed meanwhile, or has another password now, is not let in by the old one.
      return this.#source.hashes.get(user) === hash;
    } finally {
      // The turn is handed on, so that nobody who comes in between takes it too.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  async #turn(): Promise<void> {
    if (this.#running >= checksAtOnce) {
      if (this.#waiting.length >= waitingMax) {
        throw new UnavailableError("too many logins are being checked; try again in a moment", {
          retryAfterSeconds: 1,
        });
      }
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
      return;
    }
    this.#running += 1;
  }

  /**
   * A hash of nothing that takes as long to check as one of the file: whose costs may differ (Apache's and
   * ours do), so always the same for one name, and over many names as often each as in the file.
   */
  #decoy(user: string): string {
    const { hashes } = this.#source;
    if (this.#costs.of !== hashes)
      this.#costs = { of: hashes, all: [...hashes.values()].map(costOf) };
    const { all } = this.#costs;
    const at = Buffer.from(this.#known.keyOf(user), "base64").readUInt32BE() % (all.length || 1);
    return `$2b$${String(all[at] ?? usualCost).padStart(2, "0")}$${".".repeat(53)}`;
  }
}

function costOf(hash: string): number {
  return bcryptCost(hash) ?? usualCost;
}
