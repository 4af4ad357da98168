import { expect, test } from "bun:test";
import { Descriptors } from "./descriptors.ts";

function descriptorsAt(lowest: () => number, limit: number | null = 1_000) {
  const state = { nowMs: 0, looks: 0 };
  const descriptors = new Descriptors({
    limit,
    lowestFree: () => {
      state.looks += 1;
      return lowest();
    },
    now: () => state.nowMs,
  });
  return { descriptors, state };
}

test("scarce when all below the reserve are taken, and again plenty when they are not", () => {
  let lowest = 749;
  const { descriptors, state } = descriptorsAt(() => lowest);
  expect(descriptors.isScarce()).toBe(false);
  lowest = 750;
  // It is not looked at each time.
  expect(descriptors.isScarce()).toBe(false);
  state.nowMs += 50;
  expect(descriptors.isScarce()).toBe(true);
  lowest = 20;
  state.nowMs += 50;
  expect(descriptors.isScarce()).toBe(false);
  expect(state.looks).toBe(3);
});

test("a flood of connections is noticed before it has used up the reserve", () => {
  let taken = 700;
  const { descriptors, state } = descriptorsAt(() => taken);
  while (!descriptors.isScarce()) taken += 1;
  expect(taken).toBeLessThan(850);
  expect(state.looks).toBe(2);
});

test("while there are plenty, it is looked for as seldom as a flood could use them up", () => {
  const { descriptors, state } = descriptorsAt(() => 256, 100_256);
  for (let n = 0; n < 20_000; n++) expect(descriptors.isScarce()).toBe(false);
  expect(state.looks).toBe(1);
  for (let n = 0; n < 20_000; n++) descriptors.isScarce();
  expect(state.looks).toBe(2);
});

test("the reserve of many is no share of them", () => {
  expect(descriptorsAt(() => 19_743, 20_000).descriptors.isScarce()).toBe(false);
  expect(descriptorsAt(() => 19_744, 20_000).descriptors.isScarce()).toBe(true);
});

test("none at all is scarce; where nobody says how many there are, they never are", () => {
  const none = (): number => {
    throw new Error("EMFILE");
  };
  expect(descriptorsAt(none).descriptors.isScarce()).toBe(true);
  expect(descriptorsAt(none, null).descriptors.isScarce()).toBe(false);
});

test("this process has enough", () => {
  expect(new Descriptors().isScarce()).toBe(false);
});
