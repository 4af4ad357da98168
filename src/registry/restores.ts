// Undoing a deletion: reads and parses what it holds, looks at the bytes (INV-9), and has the index accept
// all of it in one transaction, which looks at everything again (INV-4).
import {
  algorithmOf,
  DeniedError,
  type Digest,
  digestOf,
  manifestBytesMax,
  ManifestInvalidError,
  type ParsedManifest,
  readStoredManifest,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import { blobDataPath } from "../storage/layout.ts";
import type { Actor } from "./audit.ts";
import { deniedError, noBounds } from "./bounds.ts";
import { requiredForRestore } from "./manifest-validation.ts";
import type {
  DeletionEntry,
  DeletionPosition,
  HeldManifest,
  RestoreOutcome,
} from "./ports/index.ts";
import { leaseTerms, type ServiceParts } from "./services.ts";

export type RestoreWanted = { readonly repository: RepositoryName } & (
  { readonly id: number } | { readonly digest: Digest } | { readonly tag: Tag }
);

export interface RestoreOptions {
  readonly actor: Actor;
  /** Tags that name something else by now are moved. */
  readonly forceTags: boolean;
  /** Says what would be restored, and changes nothing. */
  readonly dryRun: boolean;
}

export type RestoreReport =
  | (Extract<RestoreOutcome, { outcome: "restored" | "taken" | "missing" }> & {
      readonly deletion: DeletionEntry;
    })
  /** Nothing to do: the repository has it. */
  | { readonly outcome: "there" }
  /** It could be restored until then. */
  | { readonly outcome: "gone"; readonly deletedAtMs: number; readonly releasedAtMs: number }
  | { readonly outcome: "unknown" };

/** Who restores the same, pushes or deletes it meanwhile ends a try; the next one finds what is so then. */
const triesMax = 5;

/** Files looked at, and manifests read, before the loop gets a turn again. */
const lookedAtOnce = 128;
const heldPageMax = 100;
/** All that the manifests of one deletion may name together: some 50 MB of memory, a second of the index. */
const referencesMax = 200_000;
/** Deletions of one page of a repository that is restored whole. */
const deletionsPageMax = 100;
/** Deletions that are tried again because something was missing. */
const waitingMax = 10_000;

export class RestoreService {
  readonly #parts: ServiceParts;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  /** Of a name, its youngest deletion. @throws DeniedError in read-only mode, or by a quota. */
  async restore(wanted: RestoreWanted, options: RestoreOptions): Promise<RestoreReport> {
    this.#requireAllowed();
    for (let tries = 1; tries <= triesMax; tries++) {
      const found = await this.#parts.index.findDeletion(wanted);
      if (found.outcome !== "found") return this.#told(wanted, options, found);
      const { deletion } = found;
      // A number of another repository's deletion is none of this one's.
      if (deletion.repository !== wanted.repository) break;
      const outcome = await this.#tryOnce(deletion, options);
      if (outcome.outcome === "unknown") continue;
      return this.#told(wanted, options, { ...outcome, deletion });
    }
    return this.#told(wanted, options, { outcome: "unknown" });
  }

  /**
   * All that was deleted in a repository, the youngest first, so that of several deletions of a tag that one
   * wins; what needs something that is restored later is tried again. Tells what became of each.
   */
  async restoreRepository(
    repository: RepositoryName,
    options: RestoreOptions & { readonly signal?: AbortSignal },
    tell: (report: RestoreReport) => Promise<void>,
  ): Promise<void> {
    const isStopped = (): boolean => options.signal?.aborted === true;
    let waiting: number[] = [];
    const tryEach = async (id: number): Promise<void> => {
      const report = await this.restore({ repository, id }, options);
      if (report.outcome === "missing" && waiting.length < waitingMax) waiting.push(id);
      // One that is over meanwhile came back with another.
      else if (report.outcome !== "unknown") await tell(report);
    };
    for await (const { id } of this.#deletionsOf(repository)) {
      if (isStopped()) return;
      await tryEach(id);
    }
    for (let before = Infinity; waiting.length > 0 && waiting.length < before && !isStopped();) {
      before = waiting.length;
      const ids = waiting;
      waiting = [];
      for (const id of ids) await tryEach(id);
    }
    for (const id of waiting) await tell(await this.restore({ repository, id }, options));
  }

  async *#deletionsOf(repository: RepositoryName): AsyncGenerator<DeletionEntry> {
    for (let after: DeletionPosition | null = null; ;) {
      const page: readonly DeletionEntry[] = await this.#parts.index.listDeletions({
        after,
        limit: deletionsPageMax,
        repository,
      });
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < deletionsPageMax) return;
      after = [last.nowMs, last.id];
    }
  }

  async #tryOnce(
    deletion: DeletionEntry,
    options: RestoreOptions,
  ): Promise<Exclude<RestoreOutcome, { outcome: "denied" }>> {
    const { index, treeLookup, followTree } = this.#parts;
    // A tag that somebody else has pushed to the tree meanwhile is taken (INV-8).
    for (const tag of deletion.tags) await treeLookup()?.manifest(deletion.repository, tag);
    // Of very many it names only the first.
    if (deletion.tagCount > deletion.tags.length) {
      await treeLookup()?.repository(deletion.repository);
    }
    const { actor, forceTags, dryRun } = options;
    const terms = leaseTerms(this.#parts, actor.caller);
    const bounds = this.#parts.bounds?.of(deletion.repository) ?? noBounds;
    const ownId = await this.#ownIdOf(deletion);
    const held = await this.#readHeld(deletion, ownId);
    const restore = { id: deletion.id, ownId, ...held, forceTags, bounds, terms };
    const outcome = dryRun
      ? await index.previewRestore(restore)
      : await index.restoreDeletion(restore);
    if (outcome.outcome === "denied") throw deniedError(deletion.repository, outcome.denied);
    followTree();
    return outcome;
  }

  /** A tag brings its manifest back: with all that has gone with the manifest since, a signature say. */
  async #ownIdOf({ what, repository, digest }: DeletionEntry): Promise<number | null> {
    if (what !== "tag") return null;
    const own = await this.#parts.index.findDeletion({ repository, digest });
    return own.outcome === "found" && own.deletion.what !== "tag" ? own.deletion.id : null;
  }

  /** Everything that the deletion holds, and that of its manifest, as its bytes say. */
  async #readHeld(
    deletion: DeletionEntry,
    ownId: number | null,
  ): Promise<{ readonly manifests: readonly HeldManifest[]; readonly lost: readonly Digest[] }> {
    const manifests: HeldManifest[] = [];
    const lost: Digest[] = [];
    const seen = new Set<Digest>();
    let references = 0;
    for await (const one of this.#heldBy(ownId === null ? [deletion.id] : [deletion.id, ownId])) {
      if (seen.has(one.digest)) continue;
      seen.add(one.digest);
      const manifest = await this.#readManifest(one);
      if (manifest === null) {
        lost.push(one.digest);
        continue;
      }
      manifests.push(manifest);
      references += manifest.manifest.references.length;
      if (references > referencesMax) throw tooLarge(deletion);
    }
    const required = new Set(manifests.flatMap((one) => one.required));
    for (const { digest } of manifests) required.delete(digest);
    return { manifests, lost: [...lost, ...(await this.#withoutBytes([...required]))] };
  }

  async *#heldBy(ids: readonly number[]): AsyncGenerator<{ digest: Digest; mediaType: string }> {
    for (const id of ids) {
      for (let after: Digest | null = null; ;) {
        const page: readonly { digest: Digest; mediaType: string }[] =
          await this.#parts.index.heldManifests(id, { after, limit: heldPageMax });
        yield* page;
        after = page.length < heldPageMax ? null : (page.at(-1)?.digest ?? null);
        if (after === null) break;
      }
    }
  }

  /** Null: its bytes are gone, altered, or no manifest. */
  async #readManifest(held: {
    readonly digest: Digest;
    readonly mediaType: string;
  }): Promise<HeldManifest | null> {
    const { digest, mediaType } = held;
    const bytes = await this.#parts.storage.readSmall(blobDataPath(digest), manifestBytesMax);
    if (bytes === null || digestOf(bytes, algorithmOf(digest)) !== digest) return null;
    const parsed = parsedOrNull(bytes);
    if (parsed === null) return null;
    const manifest = { ...parsed, mediaType };
    const required = requiredForRestore(manifest, this.#parts.options.validation);
    return { digest, sizeBytes: bytes.byteLength, manifest, required };
  }

  /** Those whose file is missing or of the wrong size, though the index believes in it (INV-9). */
  async #withoutBytes(digests: readonly Digest[]): Promise<Digest[]> {
    const { index, storage } = this.#parts;
    const without: Digest[] = [];
    for (let at = 0; at < digests.length; at += lookedAtOnce) {
      const page = digests.slice(at, at + lookedAtOnce);
      const sizes = await index.findSizes(page);
      for (const digest of page) {
        const stat = await storage.stat(blobDataPath(digest));
        if (stat?.sizeBytes !== sizes.get(digest)) without.push(digest);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    return without;
  }

  /** The one place that says whether anything may be restored at all; the index says what. */
  #requireAllowed(): void {
    if (!this.#parts.options.readOnly) return;
    throw new DeniedError(
      "the registry is read-only (storage.maintenance.readonly.enabled is true)",
    );
  }

  #told(wanted: RestoreWanted, options: RestoreOptions, report: RestoreReport): RestoreReport {
    if (options.dryRun) return report;
    const known = "deletion" in report ? report.deletion : null;
    this.#parts.audit?.record({
      action: "restore",
      what: known?.what ?? ("tag" in wanted ? "tag" : "manifest"),
      repository: wanted.repository,
      reference: referenceOf(wanted, known),
      actor: options.actor,
      outcome: report.outcome,
      reason: null,
      restorableUntilMs: null,
    });
    return report;
  }
}

function referenceOf(wanted: RestoreWanted, known: DeletionEntry | null): string | null {
  if ("tag" in wanted) return wanted.tag;
  if ("digest" in wanted) return wanted.digest;
  if (known === null) return null;
  return known.what === "tag" ? (known.tags[0] ?? known.digest) : known.digest;
}

function parsedOrNull(bytes: Uint8Array): ParsedManifest | null {
  try {
    return readStoredManifest(bytes);
  } catch (error) {
    if (error instanceof ManifestInvalidError) return null;
    throw error;
  }
}

function tooLarge({ repository, digest }: DeletionEntry): DeniedError {
  return new DeniedError(
    `what was deleted with ${digest} of ${repository} names more than ${referencesMax} digests, which is too much for one restore; push it again`,
  );
}
