// Judges the tags of one repository by the rules: which go, which stay, and why. Pure: facts in, verdicts
// out; removes nothing. The first rule that matches a tag judges it; whatever a clause of that rule keeps,
// stays. Takes tags page by page and decides in steps, so that others get their turn in between.
import { attachedTo, type Digest, type RepositoryName, type Tag } from "../oci/index.ts";
import type { RetiredImage, TagFact } from "../registry/ports/index.ts";
import { Best, newerFirst } from "./best.ts";
import { ruleOf, type RetentionRule } from "./rules.ts";

/**
 * Why a tag stays. The clauses of `keep`; `norule`: no rule judges it; `attachment`: it follows its image;
 * `protected`: it may not be deleted (an immutable tag); `unreadable`: its manifest is not there or cannot
 * be read (INV-7); `allowempty`: without it the repository would have no tag left; `notapplied`: only other
 * rules than its own are applied now.
 */
export type KeptBy =
  | "newest"
  | "pushedwithin"
  | "pulledwithin"
  | "matching"
  | "norule"
  | "attachment"
  | "protected"
  | "unreadable"
  | "allowempty"
  | "notapplied";

export interface TagVerdict {
  readonly fact: TagFact;
  /** The rule that judged it; null: none did. */
  readonly rule: RetentionRule | null;
  /** Null: it goes. */
  readonly keptBy: KeptBy | null;
}

/** A digest of which at least one tag goes. */
export interface GoingImage extends RetiredImage {
  /** Those that let its tags go, each by itself. */
  readonly rules: readonly [RetentionRule, ...RetentionRule[]];
  /** None of its tags stays: the image goes with them, unless something else needs it. */
  readonly isWhole: boolean;
}

export interface Judged {
  /** In the order in which the tags were given. */
  readonly verdicts: readonly TagVerdict[];
  readonly going: readonly GoingImage[];
  /** Rules whose removals are refused: no tag would be left in the repository. */
  readonly refused: readonly RetentionRule[];
  /** By rule: tags on whose being there the verdicts stand. */
  readonly witnesses: ReadonlyMap<RetentionRule, readonly Tag[]>;
}

export interface Judging {
  readonly repository: RepositoryName;
  /** Those that match the repository, in their order. */
  readonly rules: readonly RetentionRule[];
  readonly nowMs: number;
  /** Since when pulls are noted; null: they are not, and whatever was pulled might have been lately. */
  readonly pullsSinceMs: number | null;
  /** Whether the rule is applied now; what another one would let go stays. */
  readonly applies: (rule: RetentionRule) => boolean;
  /** Tags that may not be deleted, whatever a rule says. */
  readonly isProtected: (repository: RepositoryName, tag: Tag) => boolean;
}

/** Pull times are exact to the hour (index/pulls.ts): in doubt the tag stays. */
const pullsExactToMs = 3_600_000;

/** Tags decided before others get a turn: well under a millisecond. */
const stepTags = 1_000;

interface Entry {
  readonly fact: TagFact;
  readonly tag: Tag;
  readonly pushedAtMs: number;
  readonly rule: RetentionRule | null;
  keptBy: KeptBy | null;
}

export class Judgement {
  readonly #judging: Judging;
  readonly #entries: Entry[] = [];
  readonly #newest = new Map<RetentionRule, Best<Entry>>();

  constructor(judging: Judging) {
    this.#judging = judging;
  }

  get size(): number {
    return this.#entries.length;
  }

  add(facts: readonly TagFact[]): void {
    for (const fact of facts) {
      const { tag, pushedAtMs } = fact;
      const isAttachment = attachedTo(tag) !== null;
      const rule = isAttachment ? null : ruleOf(this.#judging.rules, tag);
      const keptBy = isAttachment ? "attachment" : this.#keptByItself(fact, rule);
      const entry: Entry = { fact, tag, pushedAtMs, rule, keptBy };
      this.#entries.push(entry);
      if (rule !== null && keptBy !== "unreadable") this.#newestOf(rule)?.add(entry);
    }
  }

  #newestOf(rule: RetentionRule): Best<Entry> | null {
    if (rule.keep.newest === null) return null;
    const newest = this.#newest.get(rule) ?? new Best<Entry>(rule.keep.newest, newerFirst);
    this.#newest.set(rule, newest);
    return newest;
  }

  /** What keeps it whatever other tags there are. */
  #keptByItself(fact: TagFact, rule: RetentionRule | null): KeptBy | null {
    const { repository, nowMs, isProtected } = this.#judging;
    if (rule === null) return "norule";
    if (fact.imagePushedAtMs === null) return "unreadable";
    if (isProtected(repository, fact.tag)) return "protected";
    const { pushedWithinMs, pulledWithinMs, matching } = rule.keep;
    const pushedAtMs = Math.max(fact.pushedAtMs, fact.imagePushedAtMs);
    if (pushedWithinMs !== null && pushedAtMs > nowMs - pushedWithinMs) return "pushedwithin";
    if (pulledWithinMs !== null && this.#usedAt(fact, pushedAtMs) > nowMs - pulledWithinMs) {
      return "pulledwithin";
    }
    if (matching?.matches(fact.tag) === true) return "matching";
    return this.#judging.applies(rule) ? null : "notapplied";
  }

  /** A pull that nobody noted may have been at any time before pulls were noted. */
  #usedAt({ pulledAtMs }: TagFact, pushedAtMs: number): number {
    const { nowMs, pullsSinceMs } = this.#judging;
    const pulledMs = pulledAtMs === null ? (pullsSinceMs ?? nowMs) : pulledAtMs + pullsExactToMs;
    return Math.max(pulledMs, pushedAtMs);
  }

  /** Decides; each step is short, and what it returns at last is the whole. */
  *decide(): Generator<undefined, Judged> {
    for (const newest of this.#newest.values()) {
      for (const entry of newest.held) if (entry.keptBy !== "protected") entry.keptBy = "newest";
    }
    const refused = yield* this.#refuseToEmpty();
    const kept = new Set<Digest>();
    yield* this.#eachEntry(({ fact, keptBy }) => {
      if (keptBy !== null) kept.add(fact.digest);
    });
    const images = new Map<Digest, Entry[]>();
    yield* this.#eachEntry((entry) => {
      if (entry.keptBy !== null) return;
      const before = images.get(entry.fact.digest);
      if (before === undefined) images.set(entry.fact.digest, [entry]);
      else before.push(entry);
    });
    const going: GoingImage[] = [];
    for (const entries of images.values()) {
      going.push(imageOf(entries, kept));
      if (going.length % stepTags === 0) yield;
    }
    return { verdicts: this.#entries, going, refused, witnesses: this.#witnesses() };
  }

  *#eachEntry(look: (entry: Entry) => void): Generator<undefined, void> {
    for (const [n, entry] of this.#entries.entries()) {
      look(entry);
      if (n % stepTags === stepTags - 1) yield;
    }
  }

  /** Nobody gives a repository's last tag away without saying so. */
  *#refuseToEmpty(): Generator<undefined, RetentionRule[]> {
    let isLeft = false;
    yield* this.#eachEntry(({ keptBy }) => {
      isLeft ||= keptBy !== null && keptBy !== "attachment";
    });
    if (isLeft) return [];
    const refused = new Set<RetentionRule>();
    yield* this.#eachEntry((entry) => {
      if (entry.keptBy !== null || entry.rule === null || entry.rule.allowEmpty) return;
      refused.add(entry.rule);
      entry.keptBy = "allowempty";
    });
    return [...refused];
  }

  /** The newest that a rule keeps or, for a rule that must leave a tag, one that stays. */
  #witnesses(): ReadonlyMap<RetentionRule, readonly Tag[]> {
    const survivor = this.#entries.find(
      ({ keptBy }) => keptBy !== null && keptBy !== "attachment",
    )?.tag;
    return new Map(
      this.#judging.rules.map((rule) => {
        const newest = this.#newest.get(rule)?.held.map(({ tag }) => tag) ?? [];
        if (newest.length > 0) return [rule, newest];
        return [rule, survivor === undefined || rule.allowEmpty ? [] : [survivor]];
      }),
    );
  }
}

function imageOf(entries: readonly Entry[], kept: ReadonlySet<Digest>): GoingImage {
  const { digest, imagePushedAtMs, pulledAtMs } = (entries[0] as Entry).fact;
  return {
    digest,
    imagePushedAtMs,
    pulledAtMs,
    rules: [...new Set(entries.map(({ rule }) => rule))] as unknown as GoingImage["rules"],
    isWhole: !kept.has(digest),
    tags: entries.map(({ tag, pushedAtMs }) => ({ tag, pushedAtMs })),
  };
}
