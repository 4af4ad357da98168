// What `verify --repair` does about a finding: only what cannot lose anything, and each thing looked at
// again by whoever does it, under the exclusion or in the transaction. Everything else is a person's.
import type { Digest, RepositoryName } from "../oci/index.ts";
import type { Difference } from "../registry/ports/index.ts";
import type { BlobFinding, Found, Repair } from "./verify-findings.ts";

/** Who can mend; the owner of the root. */
export interface RepairParts {
  /** Moves the bytes away if they are not those of the digest. @throws when that cannot be told or done. */
  quarantine(
    digest: Digest,
  ): Promise<
    | { readonly kind: "moved"; readonly path: string }
    | { readonly kind: "sound" | "gone" | "condemned" }
  >;
  /** Takes the tree's side, as a comparison does (INV-8); false: they do not differ there any more. */
  absorb(difference: Difference): Promise<boolean>;
  /** Puts into the queue of the collector all that nothing holds and that is not in it. */
  requeue(): Promise<void>;
  /** Counts what a repository uses again, or (null) the totals. */
  recountUsage(repository: RepositoryName | null): Promise<void>;
}

const falseAlarm: Repair = {
  isMended: true,
  isFalseAlarm: true,
  text: "in order when looked at again",
};

export class VerifyRepair {
  readonly #parts: RepairParts;
  /** One walk over the tables finds all orphans. */
  #requeued: Promise<void> | null = null;

  constructor(parts: RepairParts) {
    this.#parts = parts;
  }

  /** Null: nothing can be done here. Never throws: a failure is told, and the run goes on. */
  async mend({ finding, difference }: Found): Promise<Repair | null> {
    try {
      switch (finding.kind) {
        case "wrong-size":
        case "wrong-bytes":
          return await this.#quarantine(finding);
        case "difference":
          return difference === null ? null : await this.#absorb(difference);
        case "orphan":
          this.#requeued ??= this.#parts.requeue();
          await this.#requeued;
          return { isMended: true, text: "in the queue of the next collection now" };
        case "usage-drift":
          await this.#parts.recountUsage(finding.repository);
          return { isMended: true, text: "counted again" };
        case "missing-blob":
        case "unreadable-blob":
        case "missing-link":
          return null;
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { isMended: false, text: `could not be mended: ${reason}` };
    }
  }

  async #quarantine({ digest, neededBy }: BlobFinding): Promise<Repair> {
    const outcome = await this.#parts.quarantine(digest);
    switch (outcome.kind) {
      case "moved": {
        const text = `moved to ${outcome.path}`;
        // What needs it waits for a push.
        return { isMended: neededBy.length === 0, text };
      }
      case "sound":
        return falseAlarm;
      case "gone":
        return { isMended: neededBy.length === 0, text: "gone when looked at again" };
      case "condemned":
        return { isMended: true, text: "about to be collected" };
    }
  }

  async #absorb(difference: Difference): Promise<Repair> {
    const taken = await this.#parts.absorb(difference);
    return taken ? { isMended: true, text: "the index took the tree's side" } : falseAlarm;
  }
}
