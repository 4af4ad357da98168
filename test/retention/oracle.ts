// What retention must come to, written from the documentation's words with loops over everything: no page,
// no heap, no transaction. Nothing of it is taken from src/retention.
export interface OracleTag {
  readonly name: string;
  readonly image: string;
  readonly pushedMs: number;
}

export interface OracleRule {
  readonly name: string;
  readonly repositories: (name: string) => boolean;
  /** Null: it judges no tags. */
  readonly tags: ((name: string) => boolean) | null;
  readonly newest: number | null;
  readonly pushedWithinMs: number | null;
  readonly pulledWithinMs: number | null;
  readonly matching: ((name: string) => boolean) | null;
  readonly untaggedOlderThanMs: number | null;
  readonly allowEmpty: boolean;
}

export interface OracleRepository {
  readonly name: string;
  readonly tags: ReadonlyMap<string, OracleTag>;
  /** When each image was pushed and pulled last. */
  readonly pushedMs: ReadonlyMap<string, number>;
  readonly pulledMs: ReadonlyMap<string, number>;
  readonly notedSinceMs: number;
}

const hourMs = 3_600_000;

function isNewer(a: OracleTag, b: OracleTag): boolean {
  if (a.pushedMs !== b.pushedMs) return a.pushedMs > b.pushedMs;
  return a.name.localeCompare(b.name, "en", { numeric: true }) > 0;
}

/** Names of the tags that go. */
export function tagsThatGo(
  repository: OracleRepository,
  rules: readonly OracleRule[],
  nowMs: number,
): Set<string> {
  const all = [...repository.tags.values()];
  const ruleOf = (tag: OracleTag): OracleRule | undefined =>
    rules.find((rule) => rule.repositories(repository.name) && rule.tags?.(tag.name) === true);
  const isKept = (tag: OracleTag): boolean => {
    const rule = ruleOf(tag);
    if (rule === undefined) return true;
    const rivals = all.filter((other) => ruleOf(other) === rule);
    const newer = rivals.filter((other) => isNewer(other, tag)).length;
    if (rule.newest !== null && newer < rule.newest) return true;
    const pushedMs = Math.max(tag.pushedMs, repository.pushedMs.get(tag.image) ?? 0);
    if (rule.pushedWithinMs !== null && pushedMs > nowMs - rule.pushedWithinMs) return true;
    // Pulled or pushed; of pulls before they were noted nobody knows.
    const pulledMs = repository.pulledMs.get(tag.image);
    const usedMs = Math.max(
      pulledMs === undefined ? repository.notedSinceMs : pulledMs + hourMs,
      pushedMs,
    );
    const isPulled = rule.pulledWithinMs !== null && usedMs > nowMs - rule.pulledWithinMs;
    return isPulled || rule.matching?.(tag.name) === true;
  };
  const goes = all.filter((tag) => !isKept(tag));
  if (goes.length < all.length) return new Set(goes.map(({ name }) => name));
  // None would be left: only rules that may empty a repository do.
  return new Set(goes.filter((tag) => ruleOf(tag)?.allowEmpty).map(({ name }) => name));
}
