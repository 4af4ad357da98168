// A collection as one JSON document (`--json`). Lists are bounded and say so; the totals never are.
import type { CollectionEvent, CollectionReport } from "./collection-events.ts";

/** Entries of each list: some 15 MB of text at most. */
const listMax = 100_000;

class BoundedList<Item> {
  readonly entries: Item[] = [];
  isTruncated = false;

  add(entry: Item): void {
    if (this.entries.length < listMax) this.entries.push(entry);
    else this.isTruncated = true;
  }
}

interface Entry {
  readonly repository?: string;
  readonly digest?: string;
  readonly sizeBytes?: number;
}

/** Hears the events of a run, and has the document once the summary is among them. */
export class CollectionDocument {
  readonly #manifests = new BoundedList<Entry>();
  readonly #blobs = new BoundedList<Entry>();
  readonly #links = new BoundedList<Entry>();
  readonly #repositories = new BoundedList<string>();
  readonly #steppedOver: object[] = [];
  #marked = 0;
  #report: CollectionReport | null = null;

  hear(event: CollectionEvent): void {
    switch (event.kind) {
      case "manifest-eligible":
        this.#manifests.add({ repository: event.repository, digest: event.digest });
        break;
      case "counted":
        this.#marked = event.blobsMarked;
        break;
      case "blob-eligible":
        this.#blobs.add({ digest: event.digest, sizeBytes: event.sizeBytes });
        break;
      case "link-eligible":
        this.#links.add({ repository: event.repository, digest: event.digest });
        break;
      case "repository-eligible":
      case "repository-removed":
        this.#repositories.add(event.repository);
        break;
      case "stepped-over":
        this.#steppedOver.push(event.problem);
        break;
      case "summary":
        this.#report = event.report;
        break;
      default:
        break;
    }
  }

  get isComplete(): boolean {
    return this.#report !== null;
  }

  /** @throws when the run has not ended. */
  toJson(): string {
    const report = this.#report;
    if (report === null) throw new Error("the collection has not ended");
    const { startedAtMs, bytes, steppedOver, ...rest } = report;
    const lists = [this.#manifests, this.#blobs, this.#links, this.#repositories];
    return JSON.stringify({
      startedAt: new Date(startedAtMs).toISOString(),
      ...rest,
      [report.dryRun ? "bytesReclaimable" : "bytesReclaimed"]: bytes,
      blobsMarked: this.#marked,
      manifestsEligible: this.#manifests.entries,
      blobsEligible: this.#blobs.entries,
      linksEligible: this.#links.entries,
      repositoriesEmpty: this.#repositories.entries,
      listsTruncated: lists.some((list) => list.isTruncated),
      steppedOver: { ...steppedOver, problems: this.#steppedOver },
    });
  }
}
