// Random histories of three clients and a collector that die at a random moment: in the middle of a call,
// or just before or after one. No process is killed: at the death every further call fails, and all but
// disk and index, both in memory, is made anew; with half of them the power goes too. 60 of 100 kills
// (PLIMSOLL_KILLS for more); the others are of real processes: registry-kill.test.ts and
// registry-kill-under-load.test.ts. Each has a seed of its own: PLIMSOLL_SEED=n PLIMSOLL_KILLS=1 tries it
// alone again.
import { expect, setDefaultTimeout, test } from "bun:test";
import { parseRepositoryName, parseTag, type Tag } from "../../src/oci/index.ts";
import { type Artifact, imageA, imageB, multi, multiChildren } from "./content.ts";
import { type Death, tryDeath } from "./memory-death.ts";
import { killsOf, Random } from "./random.ts";
import { collect, collectKeeping, push, type Script, type Step } from "./steps.ts";

setDefaultTimeout(3_600_000);

const clients = 3;
const rounds = 3;
const stepsOfClient = 4;
/** A history has some 200 calls of the storage, 120 of the index, and 200 to 400 turns; a few outlive theirs. */
const momentsMax = { storage: 180, index: 110, turn: 240 } as const;
const tags = ["a", "b"].map(parseTag);
const follow: Step = { kind: "follow" };

/** One client, in a repository of its own, with layers that all share. */
class RandomClient {
  readonly #repository;
  readonly #random: Random;
  readonly #tagged = new Map<Tag, Artifact>();

  constructor(number: number, random: Random) {
    this.#repository = parseRepositoryName(`client/${number}`);
    this.#random = random;
  }

  next(): Step[] {
    const repository = this.#repository;
    const [tag = parseTag("a"), artifact = imageA] = this.#pick([...this.#tagged]) ?? [];
    const dice = this.#random.below(10);
    if (dice < 6 || this.#tagged.size === 0) return this.#push();
    if (dice < 8) {
      this.#tagged.delete(tag);
      return [{ kind: "delete-tag", repository, tag }];
    }
    const names = [...this.#tagged].filter(([, other]) => other === artifact).map(([name]) => name);
    // What no collection has let go of comes back.
    if (this.#random.below(2) === 0) {
      const { digest } = artifact;
      return [
        { kind: "delete-image", repository, digest },
        { kind: "restore", repository, digest, tags: names.toSorted() },
      ];
    }
    for (const name of names) this.#tagged.delete(name);
    return [{ kind: "delete-manifest", repository, digest: artifact.digest }];
  }

  #push(): Step[] {
    const tag = this.#pick(tags) ?? parseTag("a");
    const artifact = this.#pick([imageA, imageB, multi]) ?? imageA;
    this.#tagged.set(tag, artifact);
    const children = artifact === multi ? multiChildren : [];
    return [
      ...children.flatMap((child) => push(this.#repository, child, [])),
      ...push(this.#repository, artifact, [tag]),
    ];
  }

  #pick<Item>(items: readonly Item[]): Item | undefined {
    return items[this.#random.below(Math.max(1, items.length))];
  }
}

function historyOf(random: Random): Script {
  const crew = Array.from({ length: clients }, (_, n) => new RandomClient(n, random));
  return Array.from({ length: rounds }, (): Script => {
    const branches = crew.map((client) =>
      Array.from({ length: 1 + random.below(stepsOfClient) }, () => client.next()).flat(),
    );
    // Beside the clients untagged manifests stay: whose tag goes meanwhile might go or not.
    const collecting = [collectKeeping(false), follow, collectKeeping(false), follow];
    const together = { kind: "together", branches: [...branches, collecting] } as const;
    const untagged = random.below(2) === 0;
    const last = random.below(2) === 0 ? collect(untagged) : collectKeeping(untagged);
    return [together, { kind: "pass-grace" }, last, follow];
  }).flat();
}

function deathOf(random: Random): Death {
  const of = (["storage", "index", "turn"] as const)[random.below(3)] ?? "turn";
  const loses = (["nothing", "nothing", "all", "by chance"] as const)[random.below(4)] ?? "nothing";
  const at = 1 + random.below(momentsMax[of]);
  const when = random.below(2) === 0 && loses === "nothing" ? "before" : "after";
  return { of, at, when, loses, script: historyOf(random) };
}

test("random histories that die at random moments lose nothing", async () => {
  const kills = killsOf(0.6);
  const first = new Random().seed;
  console.log(`${kills} random deaths; again: PLIMSOLL_SEED=${first}`);
  let died = 0;
  for (let n = 0; n < kills; n++) {
    const seed = first + n;
    try {
      if (await tryDeath(deathOf(new Random(seed)))) died++;
    } catch (error) {
      throw new Error(`PLIMSOLL_SEED=${seed} PLIMSOLL_KILLS=1`, { cause: error });
    }
  }
  if (kills > 10) expect(died).toBeGreaterThan(kills / 2);
});
