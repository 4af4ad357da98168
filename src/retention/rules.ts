// What a retention rule says, and which rule a tag belongs to. Docs: docs/retention.md.
import type { NameGlobs, RepositoryName, Tag } from "../oci/index.ts";

export interface RetentionRule {
  readonly name: string;
  readonly repositories: NameGlobs;
  /** Null: the rule judges no tags, only untagged manifests. */
  readonly tags: NameGlobs | null;
  /** What any of these keeps, stays; null: this does not keep anything. */
  readonly keep: {
    /** So many of the tags that the rule judges in a repository. */
    readonly newest: number | null;
    readonly pushedWithinMs: number | null;
    readonly pulledWithinMs: number | null;
    readonly matching: NameGlobs | null;
  };
  /** Manifests without a tag for this long go; null: the rule leaves them alone. */
  readonly untaggedOlderThanMs: number | null;
  readonly intervalMs: number;
  /** Also applied when the disk fills up. */
  readonly onPressure: boolean;
  /** It may remove the last tag of a repository. */
  readonly allowEmpty: boolean;
}

/** The rules that have a say in a repository, in their order. */
export function rulesFor(
  rules: readonly RetentionRule[],
  repository: RepositoryName,
): readonly RetentionRule[] {
  return rules.filter((rule) => rule.repositories.matches(repository));
}

/** The first one judges. Null: no rule does, so it stays. */
export function ruleOf(rules: readonly RetentionRule[], tag: Tag): RetentionRule | null {
  return rules.find((rule) => rule.tags?.matches(tag) === true) ?? null;
}

/** The first of the repository's rules that says something of untagged manifests. */
export function untaggedRuleOf(rules: readonly RetentionRule[]): RetentionRule | null {
  return rules.find((rule) => rule.untaggedOlderThanMs !== null) ?? null;
}
