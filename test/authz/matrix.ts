// Everybody asks everything, and each answer is held against the oracle. Requests that are refused are aimed at what
// is there, and nothing of it may change; and what is refused is answered the same whether there is something or
// not.
import { expect } from "bun:test";
import { apiRequests } from "./api-requests.ts";
import { answerTo, type Around, inParallel, wrongIn } from "./ask.ts";
import { type Content, fill, ghostOf, giveUploads, owner, stateOf } from "./content.ts";
import { makePlace, open, type Place } from "./guarded-registry.ts";
import { type Caller, verdict } from "./oracle.ts";
import { type Asked, commonRequests, repositoryRequests } from "./requests.ts";

export interface Scene extends Place {
  readonly contents: ReadonlyMap<string, Content>;
}

/** A root with something in every repository; nobody serves it. */
export async function makeScene(): Promise<Scene> {
  const place = await makePlace();
  let contents: Scene["contents"];
  {
    await using registry = await open(place, "");
    contents = await fill(registry.ask);
  }
  giveUploads(place.root, contents);
  return { ...place, contents };
}

export function contentOf({ contents }: Scene, repository: string): Content {
  const content = contents.get(repository);
  if (content === undefined) throw new Error(`there is no ${repository}`);
  return content;
}

export function requestsOf(content: Content): readonly Asked[] {
  return [...Object.values(repositoryRequests(content)).flat(), ...apiRequests(content, "one")];
}

/** Somebody's upload is theirs: the requests that say otherwise are about everybody else. */
function concerns({ who }: Caller, { id }: Asked): boolean {
  return !(id.includes("somebody else's") && who.kind === "user" && who.name === owner);
}

/** What was answered wrongly, and how much was asked. */
interface Outcome {
  readonly wrong: readonly string[];
  readonly asked: number;
}

async function askEverything(
  scene: Scene,
  around: Around & { readonly repositories?: readonly string[] },
  callers: readonly Caller[],
): Promise<Outcome> {
  const { repositories = [...scene.contents.keys()] } = around;
  const requests = [
    ...Object.values(commonRequests()).flat(),
    ...apiRequests(contentOf(scene, "team-a/app"), "all"),
    ...repositories.flatMap((repository) => requestsOf(contentOf(scene, repository))),
  ];
  const cases = callers.flatMap((caller) =>
    requests.filter((asked) => concerns(caller, asked)).map((asked) => ({ caller, asked })),
  );
  const wrong: string[] = [];
  await inParallel(cases, async ({ caller, asked }) => {
    const problem = await wrongIn(around, caller, asked);
    if (problem !== null) wrong.push(problem);
  });
  return { wrong, asked: cases.length };
}

/** Refused requests about what is there, and about what is not: the answers may not differ. */
async function askOfGhosts(
  scene: Scene,
  around: Around,
  callers: readonly Caller[],
): Promise<Outcome> {
  const content = contentOf(scene, "team-a/app");
  // Of the same length, and under the same rules wherever these are globs.
  const ghost = ghostOf(content, "team-a/xyz");
  const pairs = requestsOf(content).map((real, at) => [real, requestsOf(ghost)[at]] as const);
  const wrong: string[] = [];
  let asked = 0;
  await inParallel(
    callers.flatMap((caller) => pairs.map((pair) => [caller, ...pair] as const)),
    async ([caller, real, absent]) => {
      if (absent === undefined || absent.id !== real.id) throw new Error("the lists differ");
      const wanted = verdict(around.setting, caller, real);
      if (wanted === "in" || verdict(around.setting, caller, absent) !== wanted) return;
      asked += 2;
      const there = await textOf(around, caller, real);
      const nowhere = await textOf(around, caller, absent);
      const masked = there.replaceAll(content.repository, ghost.repository);
      if (masked !== nowhere) wrong.push(`${caller.name}: ${real.id}: ${there} and ${nowhere}`);
    },
  );
  return { wrong, asked };
}

async function textOf({ ask }: Around, caller: Caller, { real }: Asked): Promise<string> {
  const { status, headers, body } = await answerTo(ask, caller, real);
  const telling = [...headers].filter(([name]) => name !== "date" && name !== "x-request-id");
  return JSON.stringify([status, telling, body]);
}

/** All of it, and that nothing has changed by it. `yaml`: all that guards the registry. */
export async function expectAllRight(
  scene: Scene,
  guarded: Omit<Around, "ask"> & {
    readonly yaml: string;
    /** Not given: all. */
    readonly repositories?: readonly string[];
  },
  callersOf: (ask: Around["ask"]) => readonly Caller[] | Promise<readonly Caller[]>,
): Promise<void> {
  const before = stateOf(scene.root, scene.contents);
  {
    await using registry = await open(scene, guarded.yaml);
    const around = { ...guarded, ask: registry.ask };
    const callers = await callersOf(registry.ask);
    const everything = await askEverything(scene, around, callers);
    expect(everything.wrong).toEqual([]);
    const { length } = guarded.repositories ?? [...scene.contents];
    expect(everything.asked).toBeGreaterThan(callers.length * length * 60);
    expect((await askOfGhosts(scene, around, callers)).wrong).toEqual([]);
  }
  expect(stateOf(scene.root, scene.contents)).toEqual(before);
}
