// Those who listen to a run. One that fails is dropped: a run does not end because somebody hung up.
import type { CollectionEvent, CollectionObserver } from "./collection-events.ts";

export interface Member {
  readonly observer: CollectionObserver;
}

export class Audience {
  readonly #members: Set<Member>;

  constructor(first: Member) {
    this.#members = new Set([first]);
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  /** Joins; hears this first. */
  async add(member: Member, first: CollectionEvent): Promise<void> {
    this.#members.add(member);
    await this.#tellOne(member, first);
  }

  remove(member: Member): void {
    this.#members.delete(member);
  }

  async tell(event: CollectionEvent): Promise<void> {
    for (const member of this.#members) await this.#tellOne(member, event);
  }

  async #tellOne(member: Member, event: CollectionEvent): Promise<void> {
    try {
      await member.observer(event);
    } catch {
      // Nobody is there to be told, and what is collected does not depend on who listens.
      this.#members.delete(member);
    }
  }
}
