import { expect, test } from "bun:test";
import { repository, tag, World } from "../../test/race/world.ts";
import { TreeFollower } from "./tree-follower.ts";

test("catching up ends though more comes to be owed all the time", async () => {
  const world = new World();
  let pushes = 0;
  const push = async (): Promise<void> => {
    pushes += 1;
    await world.pushManifest(repository, { note: `push ${pushes}` }, { tag });
  };
  const follower = new TreeFollower({
    index: {
      newestRedo: () => world.index.newestRedo(),
      pendingRedo: (limit) => world.index.pendingRedo(limit),
      clearRedo: async (records) => {
        await world.index.clearRedo(records);
        if (pushes < 20) await push();
      },
    },
    storage: world.storage,
    reports: { error: () => undefined, info: () => undefined },
  });
  await push();
  const owed = await world.index.newestRedo();
  await follower.catchUp();
  expect(pushes).toBe(2);
  const left = await world.index.pendingRedo(100);
  expect(left.length).toBeGreaterThan(0);
  expect(left.every(({ version }) => version > owed)).toBe(true);
  pushes = 20;
  await follower.catchUp();
  expect(await world.index.newestRedo()).toBe(0);
});
