// Deleting what people see (a tag, an image, a whole repository) so that it can be undone for a while, and
// the list of what can be. Undoing it is in restores.ts; the rules are in the index's transactions.
import {
  BlobUploadUnknownError,
  DeniedError,
  type Digest,
  type ImageName,
  type RepositoryName,
  type Tag,
} from "../oci/index.ts";
import { heldError } from "./bounds.ts";
import type { Actor, AuditEntry } from "./audit.ts";
import type {
  Deletion,
  DeletionEntry,
  DeletionPage,
  ImageDeletion,
  RepositoryDeletion,
  RestoreWanted,
  TagDeletion,
} from "./ports/index.ts";
import { restorableUntilMs, type ServiceParts } from "./services.ts";
import type { UploadService } from "./uploads.ts";

/** Who deletes, from where, and why. */
export interface Deleter extends Actor {
  /** `api`, `command`, … */
  readonly reason: string;
}

export interface ListedDeletion extends DeletionEntry {
  /** It is let go by the first background collection after that. */
  readonly restorableUntilMs: number;
}

/** All pages together. */
export type WholeDeletion = Omit<RepositoryDeletion, "more"> & { readonly uploads: number };

/** Tags looked at with one question: some 0.2 ms. */
const tagsAtOnce = 200;

/** Uploads looked at with one question. */
const uploadsAtOnce = 100;

export class DeletionService {
  readonly #parts: ServiceParts;
  readonly #uploads: UploadService;

  constructor(parts: ServiceParts, uploads: UploadService) {
    this.#parts = parts;
    this.#uploads = uploads;
  }

  /** `expected`: only if it names that digest. @throws DeniedError */
  async deleteTag(
    wanted: {
      readonly repository: RepositoryName;
      readonly tag: Tag;
      readonly expected?: Digest;
    },
    deleter: Deleter,
  ): Promise<TagDeletion> {
    this.requireAllowed();
    const { repository, tag } = wanted;
    await this.#parts.treeLookup()?.manifest(repository, tag);
    const deletion = this.#deletionBy(repository, deleter);
    const deleted = await this.#parts.index.deleteTagRestorably(wanted, deletion);
    if (deleted.held !== undefined) throw heldError(repository, deleted.held);
    const { outcome } = deleted;
    const untilMs = await this.untilMsOf({ repository, tag });
    this.#tell({ what: "tag", repository, reference: tag, outcome }, deleter, untilMs);
    this.#parts.followTree();
    return deleted;
  }

  /** With its tags, children that nothing else needs, and referrers. @throws DeniedError */
  async deleteImage(
    image: { readonly repository: RepositoryName; readonly digest: Digest },
    deleter: Deleter,
  ): Promise<ImageDeletion> {
    this.requireAllowed();
    const { repository, digest } = image;
    // Which tags and indexes lead to what would go with it is to be known (INV-8).
    await this.#parts.treeLookup()?.everything(repository);
    const deletion = this.#deletionBy(repository, deleter);
    const deleted = await this.#parts.index.deleteImage(image, deletion);
    if (deleted.held !== undefined) throw heldError(repository, deleted.held);
    const { outcome } = deleted;
    const untilMs = await this.untilMsOf(image);
    this.#tell({ what: "image", repository, reference: digest, outcome }, deleter, untilMs);
    this.#parts.followTree();
    return deleted;
  }

  /**
   * Everything in the repository: it is gone from the catalogue when this resolves. What a push under way
   * has leased stays for it. Stopped half-way, what has gone is gone. @throws DeniedError
   */
  async deleteRepository(
    repository: RepositoryName,
    deleter: Deleter,
    signal?: AbortSignal,
  ): Promise<WholeDeletion> {
    this.requireAllowed();
    const { index, followTree } = this.#parts;
    await this.#parts.treeLookup()?.everything(repository);
    await this.requireNotHeld({ repository, tag: null, digest: null });
    const whole = { images: 0, manifests: 0, tags: 0 };
    const uploads = await this.#endUploads(repository);
    const isStopped = (): boolean => signal?.aborted === true;
    const hasGone = (): boolean => whole.images + whole.tags + uploads > 0;
    const told = { what: "repository", repository, reference: null } as const;
    let more = true;
    try {
      while (more && !isStopped()) {
        const page = await index.deleteRepository(
          repository,
          this.#deletionBy(repository, deleter),
        );
        followTree();
        // It has come since this was asked.
        if (page.held !== undefined) throw heldError(repository, page.held);
        whole.images += page.images;
        whole.manifests += page.manifests;
        whole.tags += page.tags;
        ({ more } = page);
      }
    } finally {
      // What has gone by then is gone, also when the rest is refused or fails.
      const outcome = "deleted in part";
      if (hasGone() && more) this.#tell({ ...told, outcome }, deleter, this.restorableUntilMs());
    }
    const outcome = hasGone() ? "deleted" : "unknown";
    if (!more) this.#tell({ ...told, outcome }, deleter, this.restorableUntilMs());
    return { ...whole, uploads, outcome };
  }

  /** What `deleteTag` would do now. */
  async previewTag(repository: RepositoryName, tag: Tag): Promise<TagDeletion> {
    await this.#parts.treeLookup()?.manifest(repository, tag);
    const named = await this.#parts.index.findTag(repository, tag);
    const outcome = named === null ? "unknown" : "deleted";
    return { outcome, digest: named?.digest ?? null };
  }

  /** What `deleteImage` would do now. */
  async previewImage(image: {
    readonly repository: RepositoryName;
    readonly digest: Digest;
  }): Promise<ImageDeletion> {
    await this.#parts.treeLookup()?.everything(image.repository);
    return await this.#parts.index.previewImageDeletion(image, this.#parts.clock.now());
  }

  /** What `deleteRepository` would do now, images and uploads not counted, and tags up to 10,000. */
  async previewRepository(repository: RepositoryName): Promise<WholeDeletion> {
    await this.#parts.treeLookup()?.everything(repository);
    const found = await this.#parts.index.previewRepositoryDeletion(repository);
    const counts = found ?? { manifests: 0, tags: 0 };
    const outcome = found === null ? "unknown" : "deleted";
    return { outcome, images: 0, uploads: 0, ...counts };
  }

  /** An upload that is receiving bytes ends when these have arrived; nobody waits for that. */
  async #endUploads(repository: RepositoryName): Promise<number> {
    let ended = 0;
    for (let after: string | null = null; ;) {
      const page = await this.#parts.index.listUploads(repository, { after, limit: uploadsAtOnce });
      for (const id of page) {
        try {
          await this.#uploads.end(repository, id);
          ended += 1;
        } catch (error) {
          // It ended by itself meanwhile.
          if (!(error instanceof BlobUploadUnknownError)) throw error;
        }
      }
      after = page.at(-1) ?? null;
      if (after === null) return ended;
    }
  }

  /** The youngest first. */
  async list(page: DeletionPage): Promise<readonly ListedDeletion[]> {
    const entries = await this.#parts.index.listDeletions(page);
    return entries.map((entry) => ({
      ...entry,
      restorableUntilMs: entry.nowMs + (this.#parts.options.keepDeletedMs ?? 0),
    }));
  }

  /** The one place that says whether anything may be deleted at all. @throws DeniedError */
  requireAllowed(): void {
    const { readOnly, deleteEnabled = true } = this.#parts.options;
    if (readOnly) {
      throw new DeniedError(
        "the registry is read-only (storage.maintenance.readonly.enabled is true)",
      );
    }
    if (!deleteEnabled) {
      throw new DeniedError(
        "deleting is disabled; set storage.delete.enabled to true in the configuration to enable it",
      );
    }
  }

  /** Until when what is deleted now can be restored; null: nothing is kept. */
  restorableUntilMs(): number | null {
    const { keepDeletedMs = 0 } = this.#parts.options;
    return keepDeletedMs > 0 ? this.#parts.clock.now() + keepDeletedMs : null;
  }

  /** The same of one thing that has just been deleted; null also where its content was not known. */
  untilMsOf(deleted: RestoreWanted): Promise<number | null> {
    return restorableUntilMs(this.#parts, deleted);
  }

  #deletionBy(repository: RepositoryName, { caller, reason }: Deleter): Deletion {
    const nowMs = this.#parts.clock.now();
    const isRestorable = (this.#parts.options.keepDeletedMs ?? 0) > 0;
    const immutable = this.#parts.bounds?.immutableIn(repository) ?? [];
    return { nowMs, deletedBy: caller, reason, isRestorable, immutable };
  }

  /**
   * Whether an immutable tag stands in the way now: of a tag, an image, or anything in the repository. The
   * index asks again when it deletes. @throws DeniedError
   */
  async requireNotHeld({ repository, tag, digest }: ImageName): Promise<void> {
    const { index, bounds } = this.#parts;
    const rules = bounds?.immutableIn(repository) ?? [];
    if (rules.length === 0) return;
    const reference = tag ?? digest;
    if (reference === null) {
      await this.#requireNoneHeld(repository);
      return;
    }
    const held = await index.findHeld(repository, reference, rules);
    if (held !== null) throw heldError(repository, held);
  }

  async #requireNoneHeld(repository: RepositoryName): Promise<void> {
    const { index, bounds } = this.#parts;
    for (let after: Tag | null = null; ;) {
      const page: readonly Tag[] =
        (await index.listTags(repository, { after, limit: tagsAtOnce })) ?? [];
      for (const tag of page) {
        const rule = bounds?.immutableRuleOf(repository, tag) ?? null;
        if (rule !== null) await this.requireNotHeld({ repository, tag, digest: null });
      }
      after = page.at(-1) ?? null;
      if (page.length < tagsAtOnce) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #tell(
    what: Pick<AuditEntry, "what" | "repository" | "reference" | "outcome">,
    { reason, caller, from }: Deleter,
    untilMs: number | null,
  ): void {
    this.#parts.audit?.record({
      action: "delete",
      ...what,
      actor: { caller, from },
      reason,
      restorableUntilMs: what.outcome.startsWith("deleted") ? untilMs : null,
    });
  }
}
