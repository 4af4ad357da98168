// Manifests: accepting, finding, reading and deleting them.
// Keeps INV-4: no manifest without its content. What a manifest refers to is decided in oci/manifest.ts.
import {
  type Digest,
  DigestInvalidError,
  digestOf,
  algorithmOf,
  isDigestReference,
  ManifestBlobUnknownError,
  ManifestInvalidError,
  manifestBytesMax,
  ManifestTooLargeError,
  ManifestUnknownError,
  type ParsedManifest,
  parseManifest,
  type Reference,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import { blobDataPath } from "../storage/layout.ts";
import { type Actor, actorOf } from "./audit.ts";
import { deniedError, heldError, quotaWarning } from "./bounds.ts";
import { widestBounds } from "./content-limits.ts";
import type { ContentCache } from "./content-cache.ts";
import { unboundedLoad } from "./load-line.ts";
import { requiredOf } from "./manifest-validation.ts";
import type { Caller, DeleteOutcome, ManifestFact, Page, ReferrerFact } from "./ports/index.ts";
import type { AcceptedManifest, ManifestContent, Manifests, PutManifest } from "./registry.ts";
import { leaseTerms, restorableUntilMs, type ServiceParts } from "./services.ts";

/** Files looked at before the loop gets a turn again; a look takes microseconds. */
const statsAtOnce = 128;

export class ManifestService implements Manifests {
  readonly #parts: ServiceParts;
  readonly #cache: ContentCache;

  constructor(parts: ServiceParts, cache: ContentCache) {
    this.#parts = parts;
    this.#cache = cache;
  }

  async find(repository: RepositoryName, reference: Reference): Promise<ManifestFact> {
    return await this.#withBytes(
      repository,
      reference,
      await this.#findFact(repository, reference),
    );
  }

  async findForPush(
    repository: RepositoryName,
    reference: Reference,
    caller: Caller,
  ): Promise<ManifestFact> {
    if (this.#parts.options.readOnly || !isDigestReference(reference)) {
      const manifest = await this.find(repository, reference);
      // Asking what a tag names is how a pull begins, or all of it where the image is there already.
      this.#parts.pulls?.note(repository, manifest.digest);
      return manifest;
    }
    const terms = leaseTerms(this.#parts, caller);
    const fact = await this.#askTwice(repository, reference, () =>
      this.#parts.index.findAndLeaseManifest(repository, reference, terms),
    );
    return await this.#withBytes(repository, reference, fact);
  }

  async get(repository: RepositoryName, reference: Reference): Promise<ManifestContent> {
    const fact = await this.#findFact(repository, reference);
    if (fact === null) throw unknownManifest(repository, reference);
    const cached = this.#cache.get(fact.digest);
    if (cached !== null) {
      this.#parts.pulls?.note(repository, fact.digest);
      return { ...fact, bytes: cached };
    }
    const path = blobDataPath(fact.digest);
    const bytes = await this.#parts.storage.readSmall(path, manifestBytesMax);
    // Altered bytes are never served as what they are not (INV-9).
    if (bytes === null || digestOf(bytes, algorithmOf(fact.digest)) !== fact.digest) {
      throw unknownManifest(repository, reference);
    }
    this.#cache.add(fact.digest, bytes);
    this.#parts.pulls?.note(repository, fact.digest);
    return { ...fact, bytes };
  }

  #findFact(repository: RepositoryName, reference: Reference): Promise<ManifestFact | null> {
    const { index } = this.#parts;
    return this.#askTwice(repository, reference, () =>
      isDigestReference(reference)
        ? index.findManifest(repository, reference)
        : index.findTag(repository, reference),
    );
  }

  /** Asks again if the tree, looked at while it is being compared, had what the index had not (INV-8). */
  async #askTwice(
    repository: RepositoryName,
    reference: Reference,
    ask: () => Promise<ManifestFact | null>,
  ): Promise<ManifestFact | null> {
    const manifest = await ask();
    if (manifest !== null) return manifest;
    const lookup = this.#parts.treeLookup();
    return (await lookup?.manifest(repository, reference)) === true ? await ask() : null;
  }

  /** A fact whose bytes are missing or of the wrong size counts as absent (INV-9). */
  async #withBytes(
    repository: RepositoryName,
    reference: Reference,
    manifest: ManifestFact | null,
  ): Promise<ManifestFact> {
    if (manifest !== null) {
      const stat = await this.#parts.storage.stat(blobDataPath(manifest.digest));
      if (stat?.sizeBytes === manifest.sizeBytes) return manifest;
    }
    throw unknownManifest(repository, reference);
  }

  async put(put: PutManifest): Promise<AcceptedManifest> {
    const { reference, bytes } = put;
    const allowed = this.#parts.content?.bounds ?? widestBounds;
    if (bytes.byteLength > allowed.manifestBytesMax) {
      throw new ManifestTooLargeError(
        `the manifest has ${bytes.byteLength} bytes; at most ${allowed.manifestBytesMax} are accepted`,
      );
    }
    const byDigest = isDigestReference(reference);
    const digest = digestOf(bytes, byDigest ? algorithmOf(reference) : put.algorithm);
    if (byDigest && digest !== reference) {
      throw new DigestInvalidError(`the manifest has the digest ${digest}, not ${reference}`, {
        detail: { digest: reference, actual: digest },
      });
    }
    const manifest = parseManifest(bytes, put.contentType, allowed.manifest);
    const tags = [...new Set(byDigest ? put.tags : [reference, ...put.tags])];
    const warnings = await this.#admitted(bytes.byteLength, () =>
      this.#accept(put, { digest, manifest, tags }),
    );
    this.#cache.add(digest, bytes);
    return { digest, subject: manifest.subject, tags, warnings };
  }

  /** @throws DiskFullError */
  async #admitted<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const admission = await (this.#parts.loadLine ?? unboundedLoad).admit(bytes);
    try {
      const done = await work();
      admission.received(bytes, 0);
      return done;
    } finally {
      admission.end();
    }
  }

  async #accept(
    put: PutManifest,
    content: {
      readonly digest: Digest;
      readonly manifest: ParsedManifest;
      readonly tags: readonly Tag[];
    },
  ): Promise<readonly string[]> {
    const { index, storage, locks, followTree, bounds } = this.#parts;
    const { repository, bytes, caller } = put;
    const { indexLevelsMax } = this.#parts.content?.bounds ?? widestBounds;
    const { digest, manifest, tags } = content;
    const required = requiredOf(manifest, this.#parts.options.validation);
    await this.#requireBytes(
      repository,
      required.map((reference) => reference.digest),
    );
    await this.#lookAtImmutable(repository, tags);
    const near = await locks.run(digest, async () => {
      // A manifest's bytes are a blob too: bytes before facts (INV-1), under its exclusion (INV-3).
      const known = await index.findBlobAnywhere(digest);
      const there = await storage.stat(blobDataPath(digest));
      if (known === null || there?.sizeBytes !== bytes.byteLength) {
        await storage.putFile(blobDataPath(digest), bytes);
      }
      const outcome = await index.acceptManifest({
        repository,
        digest,
        sizeBytes: bytes.byteLength,
        manifest,
        tags,
        required,
        leaseManifest: isDigestReference(put.reference),
        ...(bounds === undefined ? {} : { bounds: bounds.of(repository) }),
        indexLevelsMax,
        terms: leaseTerms(this.#parts, caller),
      });
      if (outcome.accepted) return outcome.near ?? [];
      // Refused: bytes that no fact speaks of do not stay (still excluded). Those that were there before
      // are not ours to take: the index may not have seen yet who pushed them (INV-8).
      if (known === null && there === null && !(await index.isCondemned(digest))) {
        await storage.remove(blobDataPath(digest));
      }
      if (outcome.isTooDeep === true) throw tooDeep(indexLevelsMax ?? 0);
      if (outcome.denied !== undefined) throw deniedError(repository, outcome.denied);
      throw missingContent(repository, outcome.missing);
    });
    followTree();
    return near.map((use) => quotaWarning(repository, use));
  }

  /** What a tag that may not move names in the tree is taken in before it is judged (INV-8). */
  async #lookAtImmutable(repository: RepositoryName, tags: readonly Tag[]): Promise<void> {
    const lookup = this.#parts.treeLookup();
    const { bounds } = this.#parts;
    if (lookup === null || bounds === undefined) return;
    for (const tag of tags) {
      if (bounds.immutableRuleOf(repository, tag) !== null) await lookup.manifest(repository, tag);
    }
  }

  /** Refuses early what cannot be accepted: everything required is in the repository, with bytes (INV-9). */
  async #requireBytes(repository: RepositoryName, digests: readonly Digest[]): Promise<void> {
    const { storage } = this.#parts;
    const missing: Digest[] = [];
    for (const [n, digest] of digests.entries()) {
      const blob = await this.#findRequired(repository, digest);
      const stat = blob === null ? null : await storage.stat(blobDataPath(digest));
      if (blob === null || stat?.sizeBytes !== blob.sizeBytes) missing.push(digest);
      if (n % statsAtOnce === statsAtOnce - 1)
        await new Promise((resolve) => setImmediate(resolve));
    }
    if (missing.length > 0) throw missingContent(repository, missing);
  }

  async #findRequired(
    repository: RepositoryName,
    digest: Digest,
  ): Promise<{ readonly sizeBytes: number } | null> {
    const { index } = this.#parts;
    const blob = await index.findBlob(repository, digest);
    const lookup = this.#parts.treeLookup();
    if (blob !== null || lookup === null) return blob;
    const taken =
      (await lookup.blob(repository, digest)) || (await lookup.manifest(repository, digest));
    return taken ? await index.findBlob(repository, digest) : null;
  }

  async delete(
    repository: RepositoryName,
    reference: Reference,
    by: Caller | Actor,
  ): Promise<void> {
    const actor = actorOf(by);
    await this.#parts.treeLookup()?.manifest(repository, reference);
    const outcome = isDigestReference(reference)
      ? await this.#deleteManifest(repository, reference, actor.caller)
      : await this.#deleteTag(repository, reference, actor.caller);
    const deleted = isDigestReference(reference)
      ? { repository, digest: reference }
      : { repository, tag: reference };
    this.#parts.audit?.record({
      action: "delete",
      what: isDigestReference(reference) ? "manifest" : "tag",
      repository,
      reference,
      actor,
      outcome,
      reason: "client",
      restorableUntilMs:
        outcome === "deleted" ? await restorableUntilMs(this.#parts, deleted) : null,
    });
    if (outcome === "unknown") throw unknownManifest(repository, reference);
    this.#parts.followTree();
  }

  get #isKept(): boolean {
    const { keepDeletedMs = 0, readOnly } = this.#parts.options;
    return keepDeletedMs > 0 && !readOnly;
  }

  async #deleteManifest(
    repository: RepositoryName,
    digest: Digest,
    deletedBy: Caller,
  ): Promise<DeleteOutcome> {
    const { index, clock, bounds } = this.#parts;
    const immutable = bounds?.immutableIn(repository) ?? [];
    // Which tags and indexes the tree has is known before one could lose what it names (INV-8).
    if (immutable.length > 0) await this.#parts.treeLookup()?.everything(repository);
    const nowMs = clock.now();
    const deletion = { nowMs, deletedBy, reason: "client", immutable };
    const { outcome, held } = this.#isKept
      ? await index.deleteRestorably(repository, digest, deletion)
      : await index.deleteManifest(repository, digest, { nowMs, immutable });
    if (held !== undefined) throw heldError(repository, held);
    return outcome;
  }

  async #deleteTag(
    repository: RepositoryName,
    tag: Tag,
    deletedBy: Caller,
  ): Promise<DeleteOutcome> {
    const { index, clock, bounds } = this.#parts;
    const immutable = bounds?.immutableIn(repository) ?? [];
    const nowMs = clock.now();
    if (!this.#isKept) {
      const outcome = await index.deleteTag(repository, tag, { nowMs, immutable });
      if (outcome !== "immutable") return outcome;
      throw heldError(repository, { rule: bounds?.immutableRuleOf(repository, tag) ?? "", tag });
    }
    const deletion = { nowMs, deletedBy, reason: "client", isRestorable: true, immutable };
    const { outcome, held } = await index.deleteTagRestorably({ repository, tag }, deletion);
    if (held !== undefined) throw heldError(repository, held);
    return outcome === "deleted" ? "deleted" : "unknown";
  }

  listReferrers(
    repository: RepositoryName,
    subject: Digest,
    page: Page<Digest> & { readonly artifactType: string | null },
  ): Promise<readonly ReferrerFact[]> {
    return this.#parts.index.listReferrers(repository, subject, page);
  }
}

function unknownManifest(repository: RepositoryName, reference: Reference): ManifestUnknownError {
  return new ManifestUnknownError(`${repository} has no manifest ${reference}`, {
    detail: { name: repository, reference },
  });
}

function tooDeep(levels: number): ManifestInvalidError {
  return new ManifestInvalidError(
    `the index has more than ${levels} levels of indexes below each other, as many as http.limits.indexes allows`,
  );
}

/** How many missing digests an answer names. */
const missingMax = 100;

function missingContent(
  repository: RepositoryName,
  missing: readonly Digest[],
): ManifestBlobUnknownError {
  const named = missing.slice(0, missingMax);
  return new ManifestBlobUnknownError(
    `the manifest refers to content that ${repository} does not hold; push it first: ${named.join(", ")}`,
    { detail: named.map((digest) => ({ digest })) },
  );
}
