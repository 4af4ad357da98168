// What each client uses at the moment, of a bounded number of clients. Whoever uses nothing is forgotten
// first, and loses nothing by it. When all that are known are busy, newcomers share what one client may
// use with their neighbours: somebody with many addresses can neither have his own use forgotten by
// coming from ever new ones, nor get in the way of anybody who lives elsewhere.

/** Some 300 bytes each. */
const clientsMax = 10_000;
const sharedMax = 1_024;
/** Clients looked at for one that can be forgotten; the others are looked at again last. */
const looks = 8;

export interface Countable {
  isIdle(nowMs: number): boolean;
}

export class ClientTable<Use extends Countable> {
  readonly #create: () => Use;
  readonly #neighbourhood: (key: string) => string;
  readonly #clientsMax: number;
  /** The one that was here longest ago first. */
  readonly #clients = new Map<string, Use>();
  readonly #shared = new Map<number, Use>();
  readonly #seed = Math.floor(Math.random() * 2 ** 32);

  /** @param options `neighbourhood`: what those have in common who share. */
  constructor(
    create: () => Use,
    options: { readonly neighbourhood: (key: string) => string; readonly clientsMax?: number },
  ) {
    this.#create = create;
    this.#neighbourhood = options.neighbourhood;
    this.#clientsMax = options.clientsMax ?? clientsMax;
  }

  get size(): number {
    return this.#clients.size + this.#shared.size;
  }

  of(key: string, nowMs: number): Use {
    const known = this.#clients.get(key);
    if (known !== undefined) {
      this.#clients.delete(key);
      this.#clients.set(key, known);
      return known;
    }
    if (this.#clients.size >= this.#clientsMax && !this.#forgetOne(nowMs)) return this.#share(key);
    const use = this.#create();
    this.#clients.set(key, use);
    return use;
  }

  /** Without making anything of it that it is asked for. */
  find(key: string): Use | null {
    return this.#clients.get(key) ?? this.#shared.get(this.#slotOf(key)) ?? null;
  }

  /** Nothing that it has used counts any more, but what it shares with its neighbours. */
  forget(key: string): void {
    this.#clients.delete(key);
  }

  #forgetOne(nowMs: number): boolean {
    for (let looked = 0; looked < looks; looked++) {
      const [oldest] = this.#clients;
      if (oldest === undefined) return true;
      const [key, use] = oldest;
      this.#clients.delete(key);
      if (use.isIdle(nowMs)) return true;
      this.#clients.set(key, use);
    }
    return false;
  }

  #share(key: string): Use {
    const slot = this.#slotOf(key);
    const known = this.#shared.get(slot);
    if (known !== undefined) return known;
    const use = this.#create();
    this.#shared.set(slot, use);
    return use;
  }

  #slotOf(key: string): number {
    // Which networks meet in one slot is nobody's to know.
    const hash = Bun.hash.wyhash(this.#neighbourhood(key), BigInt(this.#seed));
    return Number(hash % BigInt(sharedMax));
  }
}
