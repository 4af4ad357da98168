// Deleting images and undoing deletions, on model and registry at once.
import { expect } from "bun:test";
import type { Digest, RepositoryName, Tag } from "../../src/oci/index.ts";
import type { RestoreReport } from "../../src/registry/restores.ts";
import {
  type Both,
  deleteManifest,
  deleteTag,
  expectAnswer,
  request,
  type Where,
} from "./client.ts";
import { nameOf } from "./content.ts";
import type { ModelDeletion, Refused, Restored } from "./model-deletions.ts";

/** Who deletes is written down, and decides nothing. */
const deleter = { caller: "somebody", from: "a test", reason: "test" };

export async function deleteImage(
  both: Both,
  repository: RepositoryName,
  digest: Digest,
): Promise<void> {
  const { model, real } = both;
  const there = model.at(repository).manifests.has(digest);
  let went: readonly Digest[] = [];
  const answer = await request(both, {
    decides: "deleteImage",
    ask: () => real.world.services.deletions.deleteImage({ repository, digest }, deleter),
    effect: () => {
      if (there) went = model.deleteImage(repository, digest, real.clock.nowMs);
    },
  });
  expectAnswer(answer, true, []);
  if (!("given" in answer)) return;
  expect(answer.given.outcome).toBe(there ? "deleted" : "unknown");
  expect(answer.given.manifests.map(nameOf).toSorted()).toEqual(went.map(nameOf).toSorted());
}

export type DeleteAs = "tag" | "manifest" | "image";

/** The n-th of what is there, so that there is more to restore than chance would delete. */
export async function deleteNth(both: Both, n: number, as: DeleteAs): Promise<void> {
  const all: { repository: RepositoryName; tag: Tag | null; digest: Digest | null }[] = [];
  for (const [repository, here] of both.model.repositories) {
    if (as === "tag") {
      for (const tag of here.tags.keys()) all.push({ repository, tag, digest: null });
    } else {
      for (const digest of here.manifests.keys()) all.push({ repository, tag: null, digest });
    }
  }
  const one = all[n % Math.max(1, all.length)];
  if (one === undefined) return;
  const { repository, tag, digest } = one;
  if (tag !== null) await deleteTag(both, repository, tag);
  else if (digest !== null && as === "image") await deleteImage(both, repository, digest);
  else if (digest !== null) await deleteManifest(both, repository, digest);
}

interface How {
  readonly what: { readonly tag: Tag } | { readonly digest: Digest };
  readonly force: boolean;
}

/** By name: the youngest deletion of it. */
export async function restore(both: Both, where: Where, { what, force }: How): Promise<void> {
  const { model, real } = both;
  const { repository, caller } = where;
  const deletion = model.deletions.wanted(repository, what);
  await restoreAs(both, { deletion, caller, force }, (dryRun) =>
    real.world.services.restores.restore(
      { repository, ...what },
      { actor: { caller, from: "a test" }, forceTags: force, dryRun },
    ),
  );
}

/** By its number, as the list tells it. */
export async function restoreNth(
  both: Both,
  n: number,
  { caller, force }: { readonly caller: string; readonly force: boolean },
): Promise<void> {
  const { model, real } = both;
  const { list } = model.deletions;
  const deletion = list[n % Math.max(1, list.length)];
  if (deletion === undefined) return;
  const { restores, deletions } = real.world.services;
  const { repository } = deletion;
  const entries = await deletions.list({ after: null, limit: 1_000, repository });
  const entry = entries.find(
    ({ digest, what, tags }) =>
      digest === deletion.digest && (what === "tag" ? tags[0] : null) === deletion.tag,
  );
  if (entry === undefined) throw new Error("a deletion is not in the list");
  await restoreAs(both, { deletion, caller, force }, (dryRun) =>
    restores.restore(
      { repository, id: entry.id },
      { actor: { caller, from: "a test" }, forceTags: force, dryRun },
    ),
  );
}

/** A dry run, which changes nothing, and then the same. */
async function restoreAs(
  both: Both,
  wanted: {
    readonly deletion: ModelDeletion | null;
    readonly caller: string;
    readonly force: boolean;
  },
  ask: (dryRun: boolean) => Promise<RestoreReport>,
): Promise<void> {
  const { model, real } = both;
  const { deletion, caller, force } = wanted;
  const plan: Restored | Refused =
    deletion === null
      ? { outcome: "nothing" }
      : model.deletions.plan(model.at(deletion.repository), deletion, force);
  const dry = await request(both, {
    decides: "previewRestore",
    ask: () => ask(true),
    effect: () => undefined,
  });
  const answer = await request(both, {
    decides: "restoreDeletion",
    ask: () => ask(false),
    effect: () => {
      if (plan.outcome === "restored") model.restore(plan, caller, real.clock.nowMs);
    },
  });
  for (const one of [dry, answer]) {
    expectAnswer(one, true, []);
    if ("given" in one) expect(summaryOf(one.given)).toEqual(summaryOf(plan));
  }
}

/** What both say of an outcome, in the same words. */
function summaryOf(outcome: RestoreReport | Restored | Refused): object {
  if (outcome.outcome !== "restored") {
    const isNothing = ["there", "gone", "unknown", "nothing"].includes(outcome.outcome);
    return { outcome: isNothing ? "nothing" : outcome.outcome };
  }
  const { manifests, tags, taken } = outcome;
  return {
    outcome: "restored",
    manifests: manifests
      .map((one) => (typeof one === "string" ? nameOf(one) : one.name))
      .toSorted(),
    tags: tags.toSorted(),
    taken: taken.map(({ tag, digest }) => `${tag} ${nameOf(digest)}`).toSorted(),
  };
}
