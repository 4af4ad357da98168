// One run of verify in the worker: the walk, the differences that it saw once more, then the blobs, the
// links, what is nobody's, and what lies in quarantine.
import type { Difference } from "../registry/ports/index.ts";
import type { ScanDriver } from "./drive.ts";
import type { FindingItem, PulseItem } from "./items.ts";
import type { ScanItem } from "./scan.ts";
import type { VerifyCounts } from "./verify-findings.ts";
import { checkBlobs } from "./verify-blobs.ts";
import { checkLinks, checkUsage, findOrphans, listQuarantine } from "./verify-facts.ts";
import { confirmDifference, type VerifyParts } from "./verify-scan.ts";

/**
 * A push has its bytes in the tree some moments before the index knows them (INV-1); a difference that
 * is older than this is none of that kind.
 */
const settleMs = 2_000;
/** Differences looked at again at the end; beyond, the first look counts. */
const suspectsMax = 10_000;

export class VerifyRun {
  readonly #parts: VerifyParts;
  readonly #suspects: Difference[] = [];

  constructor(parts: VerifyParts) {
    this.#parts = parts;
  }

  get counts(): VerifyCounts {
    return this.#parts.counts;
  }

  /** The walk of the tree, its differences set aside. */
  walk(items: Iterable<ScanItem>): Iterable<ScanItem | FindingItem> {
    return this.#suspect(items);
  }

  /** The blobs alone. @throws StoppedError */
  async readBlobs(driver: ScanDriver): Promise<void> {
    await driver.drive(checkBlobs(this.#parts));
  }

  /** @throws StoppedError */
  async finish(driver: ScanDriver): Promise<void> {
    // First, so that what is taken in on their account is looked at like everything else.
    if (this.#suspects.length > 0) await driver.wait(settleMs);
    await driver.drive(this.#confirm());
    await this.readBlobs(driver);
    await driver.drive(checkLinks(this.#parts));
    await driver.drive(findOrphans(this.#parts));
    await driver.drive(checkUsage(this.#parts));
    await driver.drive(listQuarantine(this.#parts));
  }

  *#suspect(items: Iterable<ScanItem>): Generator<ScanItem | FindingItem> {
    for (const item of items) {
      if (item.kind !== "difference") {
        yield item;
        continue;
      }
      const { difference } = item;
      const finding = confirmDifference(this.#parts, difference);
      if (finding === null) yield { kind: "pulse" };
      else if (this.#suspects.length < suspectsMax) this.#suspects.push(difference);
      else yield { kind: "finding", found: { finding, difference } };
    }
  }

  *#confirm(): Generator<FindingItem | PulseItem> {
    for (const difference of this.#suspects) {
      const finding = confirmDifference(this.#parts, difference);
      yield finding === null
        ? { kind: "pulse" }
        : { kind: "finding", found: { finding, difference } };
    }
  }
}
