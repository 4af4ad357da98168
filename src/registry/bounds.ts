// The rules of the configuration that bound what repositories may hold and change (`immutable`, `quotas`):
// which of them concern a repository, and what a client is told that one of them refuses. They are
// enforced inside the index's transactions, never here. Documentation: docs/limits.md.
import { DeniedError, type NameGlobs, type RepositoryName, type Tag } from "../oci/index.ts";
import type {
  Denial,
  HeldTag,
  ImmutableRule,
  Measure,
  PushBounds,
  Quota,
  QuotaUse,
} from "./ports/index.ts";

export interface BoundsOptions {
  readonly immutable: readonly {
    readonly name: string;
    readonly repositories: NameGlobs;
    readonly tags: NameGlobs;
  }[];
  readonly quotas: readonly (Quota & { readonly repositories: NameGlobs })[];
}

export const noBounds: PushBounds = { immutable: [], quotas: [] };

export class Bounds {
  readonly #options: BoundsOptions;

  constructor(options: BoundsOptions) {
    this.#options = options;
  }

  of(repository: RepositoryName): PushBounds {
    return { immutable: this.immutableIn(repository), quotas: this.#quotasOf(repository) };
  }

  immutableIn(repository: RepositoryName): readonly ImmutableRule[] {
    return this.#options.immutable
      .filter(({ repositories }) => repositories.matches(repository))
      .map(({ name, tags }) => ({ name, tags: tags.patterns }));
  }

  /** The name of the rule that holds the tag, once it names something; null: none does. */
  immutableRuleOf(repository: RepositoryName, tag: Tag): string | null {
    const holds = this.#options.immutable.find(
      ({ repositories, tags }) => repositories.matches(repository) && tags.matches(tag),
    );
    return holds?.name ?? null;
  }

  #quotasOf(repository: RepositoryName): readonly Quota[] {
    return this.#options.quotas
      .filter(({ repositories }) => repositories.matches(repository))
      .map(({ name, limits, contact }) => ({ name, limits, contact }));
  }
}

/** The quota that would be passed if the repository came to hold so many bytes more; null: none. */
export function quotaOver(
  quotas: readonly Quota[],
  usedBytes: number,
  moreBytes: number,
): QuotaUse | null {
  const use = usedBytes + moreBytes;
  for (const quota of quotas) {
    const limit = quota.limits.bytes;
    if (limit !== undefined && use > limit) return { quota, measure: "bytes", use, limit };
  }
  return null;
}

export function deniedError(repository: RepositoryName, denial: Denial): DeniedError {
  return denial.kind === "immutable"
    ? immutableError(repository, denial, `it names ${denial.digest} and cannot be moved`)
    : quotaError(repository, denial);
}

/** Of a deletion. `digest`: what the tag names, where that is known. */
export function heldError(
  repository: RepositoryName,
  held: Omit<HeldTag, "digest"> & Partial<HeldTag>,
): DeniedError {
  return immutableError(repository, held, "neither it nor what it names can be deleted");
}

function immutableError(
  repository: RepositoryName,
  held: Omit<HeldTag, "digest"> & Partial<HeldTag>,
  why: string,
): DeniedError {
  const { rule, tag } = held;
  return new DeniedError(
    `the tag ${tag} of ${repository} is immutable by the rule "${rule}": ${why}; use another tag, or have the rule changed in the registry's configuration (immutable)`,
    { detail: { name: repository, ...held } },
  );
}

export function quotaError(repository: RepositoryName, over: QuotaUse): DeniedError {
  const { quota, measure, use, limit } = over;
  return new DeniedError(
    `the quota "${quota.name}" allows ${repository} ${amount(measure, limit)}, and with this it would hold ${amount(measure, use)}; delete what is not needed${askFor(quota)}`,
    { detail: { name: repository, quota: quota.name, measure, use, limit } },
  );
}

/** In a person's words, of printable ASCII: it goes into a header. */
export function quotaWarning(repository: RepositoryName, near: QuotaUse): string {
  const { quota, measure, use, limit } = near;
  const percent = limit === 0 ? 100 : Math.floor((use / limit) * 100);
  return `quota ${quota.name}: ${repository} holds ${amount(measure, use)} of ${number(limit)} (${percent}%)${askFor(quota)}`;
}

function askFor({ contact }: Quota): string {
  return contact === null ? "" : `; for more ask ${contact}`;
}

function amount(measure: Measure, count: number): string {
  return `${number(count)} ${count === 1 ? measure.slice(0, -1) : measure}`;
}

function number(count: number): string {
  return count.toLocaleString("en-US");
}
