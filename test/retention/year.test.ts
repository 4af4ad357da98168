// A year of pushes, pulls and deletions, a day at a time, under random rules: each application removes
// exactly what no rule keeps, by an oracle that knows nothing of the code; a preview foretells it; and
// applied again it finds nothing. PLIMSOLL_YEARS: how many. A failure prints the seed that gives it back.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Digest } from "../../src/oci/index.ts";
import { parseGlobs } from "../../src/oci/index.ts";
import type { RetentionRule } from "../../src/retention/rules.ts";
import { blobNo, repo, tag } from "../contract/index/world.ts";
import { type OracleRepository, type OracleRule, type OracleTag, tagsThatGo } from "./oracle.ts";
import { Heard, SmallRegistry, startMs } from "./registry.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const years = Number(process.env["PLIMSOLL_YEARS"] ?? 6);
const never = new AbortController().signal;

const repositories = ["ci/app", "ci/lib", "base"];
const tagPool = [
  ...Array.from({ length: 14 }, (_, n) => `build-${n + 1}`),
  "latest",
  "v1",
  "v2",
  "pr-7",
  "pr-12",
];
const globLists = [["*"], ["build-*"], ["*", "!latest"], ["pr-*", "v*"], ["!v*"]];

const days = (most: number): fc.Arbitrary<number | null> =>
  fc.option(fc.integer({ min: 1, max: most }).map((number) => number * dayMs));

const anyRule: fc.Arbitrary<RetentionRule> = fc
  .record({
    repositories: fc.constantFrom(["**"], ["ci/**"], ["base"], ["**", "!ci/lib"]),
    tags: fc.option(fc.constantFrom(...globLists)),
    newest: fc.option(fc.integer({ min: 1, max: 6 })),
    pushedWithinMs: days(40),
    pulledWithinMs: days(20),
    matching: fc.option(fc.constantFrom(["v*"], ["latest"], ["build-1*"])),
    untaggedOlderThanMs: days(10),
    allowEmpty: fc.boolean(),
  })
  .map((drawn) => ({
    name: "",
    repositories: parseGlobs(drawn.repositories),
    tags: drawn.tags === null ? null : parseGlobs(drawn.tags),
    keep: {
      newest: drawn.newest,
      pushedWithinMs: drawn.pushedWithinMs,
      pulledWithinMs: drawn.pulledWithinMs,
      matching: drawn.matching === null ? null : parseGlobs(drawn.matching),
    },
    untaggedOlderThanMs: drawn.untaggedOlderThanMs,
    intervalMs: dayMs,
    onPressure: false,
    allowEmpty: drawn.allowEmpty,
  }));

const someRules = fc
  .array(anyRule, { minLength: 1, maxLength: 3 })
  .map((rules) => rules.map((rule, n) => ({ ...rule, name: `rule-${n}` })));

function oracleRules(rules: readonly RetentionRule[]): OracleRule[] {
  return rules.map((rule) => ({
    ...rule.keep,
    name: rule.name,
    repositories: (name) => rule.repositories.matches(name),
    tags: rule.tags === null ? null : (name) => rule.tags?.matches(name) === true,
    matching:
      rule.keep.matching === null ? null : (name) => rule.keep.matching?.matches(name) === true,
    untaggedOlderThanMs: rule.untaggedOlderThanMs,
    allowEmpty: rule.allowEmpty,
  }));
}

/** Mulberry32: the same numbers for the same seed. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

/** What a client would say there is. */
class Book implements OracleRepository {
  readonly tags = new Map<string, OracleTag>();
  readonly pushedMs = new Map<string, number>();
  readonly pulledMs = new Map<string, number>();
  readonly notedSinceMs = startMs;
  /** Images without a tag, since when. */
  readonly untagged = new Map<string, number>();

  constructor(readonly name: string) {}

  push(tagName: string, image: string, nowMs: number): void {
    const before = this.tags.get(tagName);
    if (before?.image !== image) this.tags.set(tagName, { name: tagName, image, pushedMs: nowMs });
    this.pushedMs.set(image, nowMs);
    this.untagged.delete(image);
    if (before !== undefined) this.leave(before.image, nowMs);
  }

  remove(tagName: string, nowMs: number): void {
    const before = this.tags.get(tagName);
    this.tags.delete(tagName);
    if (before !== undefined) this.leave(before.image, nowMs);
  }

  leave(image: string, nowMs: number): void {
    const isTagged = [...this.tags.values()].some((one) => one.image === image);
    if (!isTagged && !this.untagged.has(image)) this.untagged.set(image, nowMs);
  }

  /** Those that a rule removed are gone with their image when no tag names it any more. */
  retire(names: ReadonlySet<string>): void {
    for (const name of names) {
      const image = this.tags.get(name)?.image;
      this.tags.delete(name);
      const isTagged = [...this.tags.values()].some((one) => one.image === image);
      if (!isTagged && image !== undefined) this.forget(image);
    }
  }

  forget(image: string): void {
    this.untagged.delete(image);
    this.pushedMs.delete(image);
    // When it was pulled is remembered as long as it could be restored: here, for good.
  }
}

class Year {
  readonly books = new Map(repositories.map((name) => [name, new Book(name)]));
  readonly registry = new SmallRegistry();
  readonly #random: (below: number) => number;
  removed = 0;

  constructor(
    readonly rules: readonly RetentionRule[],
    seed: number,
  ) {
    this.#random = chance(seed);
  }

  async run(daysMax: number): Promise<void> {
    await this.registry.open();
    for (let day = 0; day < daysMax; day++) {
      for (let left = this.#random(5); left > 0; left--) {
        await this.#event();
        this.registry.world.nowMs += this.#random(5) * hourMs;
      }
      if (this.#random(3) > 0) await this.#apply();
      this.registry.world.nowMs += this.#random(30) * hourMs;
    }
  }

  async #event(): Promise<void> {
    const { world, index } = this.registry;
    const { nowMs } = world;
    const name = repositories[this.#random(repositories.length)] as string;
    const book = this.books.get(name) as Book;
    const tagName = tagPool[this.#random(tagPool.length)] as string;
    const kind = this.#random(10);
    const there = book.tags.get(tagName);
    if (kind < 6) {
      const image = 1 + this.#random(12);
      const digest = await world.image(name, { blobs: [image], tags: [tagName] });
      book.push(tagName, digest, nowMs);
    } else if (there !== undefined && kind < 9) {
      book.pulledMs.set(await this.registry.pull(name, tagName), nowMs);
    } else if (there !== undefined) {
      await index.deleteTag(repo(name), tag(tagName), nowMs);
      book.remove(tagName, nowMs);
    }
  }

  async #apply(): Promise<void> {
    const { retention, world, index } = this.registry;
    const { nowMs } = world;
    const foretold = new Heard();
    const preview = await retention.preview(
      { rules: this.rules, askedBy: "test" },
      foretold.hear,
      never,
    );
    const heard = new Heard();
    const report = await retention.apply({ rules: this.rules, askedBy: "test" }, heard.hear, never);
    expect(heard.tags.toSorted()).toEqual(foretold.tags.toSorted());
    expect([report.tags, report.manifests]).toEqual([preview.tags, preview.manifests]);
    const wanted: string[] = [];
    for (const book of this.books.values()) {
      const goes = tagsThatGo(book, oracleRules(this.rules), nowMs);
      wanted.push(...[...goes].map((name) => `${book.name}:${name}`));
      book.retire(goes);
      this.#retireUntagged(book, nowMs);
      expect(await this.registry.tags(book.name)).toEqual([...book.tags.keys()].sort());
      for (let image = 1; image <= 12; image++) await this.#checkImage(book, image);
    }
    expect(heard.tags.toSorted()).toEqual(wanted.toSorted());
    this.removed += wanted.length;
    const again = await retention.apply(
      { rules: this.rules, askedBy: "test" },
      () => undefined,
      never,
    );
    expect([again.tags, again.manifests, again.changed, again.leased]).toEqual([0, 0, 0, 0]);
    const none = await retention.preview(
      { rules: this.rules, askedBy: "test" },
      () => undefined,
      never,
    );
    expect([none.tags, none.manifests, none.bytes]).toEqual([0, 0, 0]);
    expect(await index.hasUnlistable()).toBe(false);
  }

  #retireUntagged(book: Book, nowMs: number): void {
    const rule = oracleRules(this.rules).find(
      (one) => one.untaggedOlderThanMs !== null && one.repositories(book.name),
    );
    if (rule === undefined) return;
    for (const [image, sinceMs] of book.untagged) {
      if (sinceMs <= nowMs - (rule.untaggedOlderThanMs ?? 0)) book.forget(image);
    }
  }

  /** Gone exactly if it should be. */
  async #checkImage(book: Book, image: number): Promise<void> {
    const { digest } = imageOf(image);
    const found = await this.registry.index.findManifest(repo(book.name), digest);
    expect(found !== null, `${book.name} image ${image}`).toBe(book.pushedMs.has(digest));
  }
}

const known = new Map<number, { readonly digest: Digest }>();

function imageOf(image: number): { readonly digest: Digest } {
  const content = known.get(image);
  if (content === undefined) throw new Error(`image ${image} was never made`);
  return content;
}

test(`${years} years under random rules come to what the rules say`, async () => {
  const scratch = await new SmallRegistry().open();
  for (let image = 1; image <= 12; image++) {
    await scratch.world.upload("x", image);
    known.set(image, await scratch.world.put("x", { layers: [blobNo(image)] }));
  }
  let removed = 0;
  await fc.assert(
    fc.asyncProperty(someRules, fc.integer(), async (rules, seed) => {
      const year = new Year(rules, seed);
      await year.run(365);
      removed += year.removed;
      expect(year.registry.failures).toEqual([]);
    }),
    { numRuns: years, endOnFailure: true },
  );
  console.log(`${years} years, ${removed} tags removed, none too many`);
}, 600_000);
