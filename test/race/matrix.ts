// Every event of a client against every step of a collection, before it, inside it and after it: for an
// image, an index and a referrer, one caller and two, one repository and two. Whatever a client was told
// is there is there for it, who was refused succeeds with the next push, and in the end exactly what is
// needed is left (INV-1 to INV-6). Worked out in docs/design/garbage-collection.md, "The races".
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { RepositoryName } from "../../src/oci/index.ts";
import { blobDataPath, repositoriesRoot } from "../../src/storage/layout.ts";
import { checkInvariants, checkNothingElse, checkPull } from "../crash/check-world.ts";
import { allDigests } from "../crash/content.ts";
import { knownRepositories, prefixesOf } from "../crash/stored-tree.ts";
import { type Event, events, isPossible, type Stretch } from "./events.ts";
import type { Meant, Place } from "./gate.ts";
import { allMoments, meantAt, type Moment, mustWait } from "./moments.ts";
import { closeScene, collect, openScene, type Scene, turns, type Variant } from "./scene.ts";
import { type Pushed, type Shape, shapes } from "./shapes.ts";

const prefixes = prefixesOf(allDigests());

// Each takes milliseconds, but the machine may be busy with others.
setDefaultTimeout(60_000);

/** Defines the tests of one shape. */
export function defineRaces(shapeName: keyof typeof shapes): void {
  const shape = shapes[shapeName];
  let orders = 0;
  afterAll(() => {
    console.log(`${shapeName}: ${orders} orders of events and steps were run`);
  });
  const define = (name: string, run: () => Promise<void>): void => {
    test(name, async () => {
      orders += 1;
      await run();
    });
  };
  for (const callers of [1, 2] as const) {
    for (const repositories of [1, 2] as const) {
      const variant: Variant = { shape, callers, repositories };
      const who = callers === 1 ? "one caller" : "two callers";
      const where = repositories === 1 ? "one repository" : "two repositories";
      describe(`${shapeName}, ${who}, ${where}`, () => {
        for (const [eventName, event] of Object.entries(events)) {
          if (!isPossible(event, shape)) continue;
          for (const moment of allMoments) {
            const { order, step, place } = moment;
            define(`${eventName} ${order} ${step} (${place})`, () => meet(variant, event, moment));
          }
          for (const stop of stopsOf(event, shape)) {
            define(`${eventName} stops ${stop.where}, a collection passes, it goes on`, () =>
              overtake(variant, event, stop),
            );
          }
        }
      });
    }
  }
}

async function begin(variant: Variant, event: Event): Promise<[Scene, string]> {
  const scene = await openScene(variant);
  const { world } = scene;
  await event.beforehand?.(scene);
  await world.services.uploads.settle();
  await world.follower.catchUp();
  world.clock.passGrace();
  return [scene, (await event.prepare?.(scene)) ?? ""];
}

/** The collection is stopped, the event happens, the collection goes on. */
async function meet(variant: Variant, event: Event, moment: Moment): Promise<void> {
  const [scene, prepared] = await begin(variant, event);
  const gate = scene.collecting.arm(moment.place, meantAt(moment, variant.shape));
  const running = collect(scene.world);
  await Promise.race([gate.reached, neverReached(running, moment.place)]);
  let isOver = false;
  const acting = event.act(scene, prepared).finally(() => (isOver = true));
  if (mustWait(moment, event, variant.shape)) {
    await turns();
    expect(isOver, "INV-3: it did not wait for the exclusion").toBe(false);
  } else {
    await acting;
  }
  gate.open();
  const granted = await acting;
  expectAnswer(scene, event, { granted, stretch: moment.stretch });
  expect((await running).ok).toBe(true);
  await expectSound(scene, event, granted);
}

async function neverReached(running: Promise<unknown>, place: string): Promise<never> {
  await running;
  throw new Error(`nobody came to ${place}`);
}

interface Stop {
  readonly where: string;
  readonly place: Place;
  readonly meant?: Meant;
}

/** Where a request is stopped: before its transaction, and when it has looked at the bytes. */
function stopsOf(event: Event, shape: Shape): readonly Stop[] {
  const decides: Stop = { where: "before it decides", place: `before ${event.decides}` };
  const digest = event.excludes?.(shape);
  if (digest === undefined) return [decides];
  const path = blobDataPath(digest);
  const looked: Stop = {
    where: "when it has looked at the bytes",
    place: "after stat",
    meant: ([first]) => first === path,
  };
  return [decides, looked];
}

/** The request is stopped, the collection runs as far as it can. */
async function overtake(variant: Variant, event: Event, stop: Stop): Promise<void> {
  const [scene, prepared] = await begin(variant, event);
  const gate = scene.requesting.arm(stop.place, stop.meant);
  const acting = event.act(scene, prepared);
  await Promise.race([gate.reached, neverReached(acting, stop.place)]);
  let isOver = false;
  const running = collect(scene.world).finally(() => (isOver = true));
  if (event.excludes === undefined) {
    await running;
  } else {
    await turns();
    expect(isOver, "INV-3: the collection did not wait for the exclusion").toBe(false);
  }
  gate.open();
  const granted = await acting;
  expectAnswer(scene, event, { granted, stretch: "blobs condemned" });
  expect((await running).ok).toBe(true);
  await expectSound(scene, event, granted);
}

function expectAnswer(
  scene: Scene,
  event: Event,
  answer: { readonly granted: boolean; readonly stretch: Stretch },
): void {
  const { granted, stretch } = answer;
  if (event.grantedIn(scene).includes(stretch)) expect(granted, "refused").toBe(true);
  if (event.refusedIn(scene).includes(stretch)) expect(granted, "granted").toBe(false);
}

async function expectSound(scene: Scene, event: Event, granted: boolean): Promise<void> {
  const { world } = scene;
  await expectInvariants(scene);
  // What the client was told holds for as long as its lease, whoever collects meanwhile (INV-5).
  expect((await collect(world)).ok).toBe(true);
  const stands = await event.goOn(scene, granted);
  const pushed = [...scene.stays, ...stands];
  for (const key of pushed) expect(await checkPull(world, key)).toEqual([]);
  await expectInvariants(scene);
  // In the end exactly what tags lead to is left.
  world.clock.passGrace();
  expect((await collect(world)).ok).toBe(true);
  await expectInvariants(scene);
  expect(await checkNothingElse(world, prefixes)).toEqual([]);
  expect(manifestsOf(await standingIn(scene))).toEqual(manifestsOf(pushed));
  for (const key of pushed) expect(await checkPull(world, key)).toEqual([]);
  const full = await collect(world, { full: true });
  expect(full).toMatchObject({ queueMissed: 0, manifests: 0, links: 0, blobs: 0, repositories: 0 });
  expect(await topDirectories(scene)).toEqual(topNames(pushed));
  expect(await closeScene(scene)).toEqual([]);
}

async function expectInvariants({ world }: Scene): Promise<void> {
  await world.services.uploads.settle();
  await world.follower.catchUp();
  expect(await checkInvariants(world, prefixes)).toEqual([]);
}

async function standingIn({ world }: Scene): Promise<Pushed[]> {
  const known = await knownRepositories(world.index);
  return known.flatMap(({ repository, facts }) =>
    [...facts.revisions].map((digest) => ({ repository, digest })),
  );
}

function manifestsOf(pushed: readonly Pushed[]): string[] {
  return [...new Set(pushed.map(({ repository, digest }) => `${repository}@${digest}`))].sort();
}

async function topDirectories({ world }: Scene): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of world.storage.list(repositoriesRoot)) names.push(name);
  return names.sort();
}

function topNames(pushed: readonly { readonly repository: RepositoryName }[]): string[] {
  return [...new Set(pushed.map(({ repository }) => repository.replace(/\/.*/, "")))].sort();
}
