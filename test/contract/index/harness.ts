// Opens a world for each test and closes it afterwards.
import { afterEach, beforeEach } from "bun:test";
import type { IndexDriver, IndexFixture } from "./fixture.ts";
import { World } from "./world.ts";

/** To be called inside a `describe`; what it returns is valid inside its tests. */
export function worldOf(driver: IndexDriver): () => World {
  let fixture: IndexFixture | null = null;
  let world: World | null = null;
  beforeEach(async () => {
    fixture = await driver.open();
    world = new World(fixture);
  });
  afterEach(async () => {
    await fixture?.close();
    fixture = null;
  });
  return () => {
    if (world === null) throw new Error("called outside a test");
    return world;
  };
}
