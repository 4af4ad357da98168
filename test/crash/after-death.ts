// What is checked on a root on disk that a process has died in.
import {
  checkExpectation,
  checkInvariants,
  checkUnknownBytes,
  type Violations,
} from "./check-world.ts";
import { compareWithTree, verify, openIndexOf, openStorageOf } from "./disk.ts";
import { Expectation } from "./expectation.ts";
import type { Entry } from "./journal.ts";
import { continueUploads, finishCollection, pushAndDeleteEverything } from "./live-on.ts";
import { removeTemporaryFiles } from "./stored-tree.ts";
import { createWorld, TestClock } from "./world.ts";

export interface Remains {
  readonly entries: readonly Entry[];
  /** Also push and delete everything once more. */
  readonly livesOn: boolean;
}

export async function checkAfterDeath(
  rootDirectory: string,
  { entries, livesOn }: Remains,
): Promise<Violations> {
  const index = await openIndexOf(rootDirectory);
  const storage = openStorageOf(rootDirectory);
  const clock = new TestClock();
  clock.passEverything();
  const compare = (): Promise<void> => compareWithTree(rootDirectory, index, clock);
  const world = createWorld({ index, storage, clock, compare });
  try {
    // What the tree still owes is applied first, as at every start (INV-2).
    await world.follower.catchUp();
    const expectation = new Expectation(entries);
    const wrong = [
      ...(await checkInvariants(world)),
      ...(await checkUnknownBytes(world, expectation.underWay)),
      ...(await checkExpectation(world, expectation)),
      ...(await continueUploads(world, expectation.uploads, { bytesMayBeLost: false })),
    ];
    // Of a file that waited for its rename only the comparison tells.
    await removeTemporaryFiles(storage);
    await compare();
    wrong.push(...(await verify(rootDirectory, clock)));
    wrong.push(...(await finishCollection(world)));
    if (livesOn) wrong.push(...(await pushAndDeleteEverything(world)));
    return wrong;
  } finally {
    await index.close();
  }
}
