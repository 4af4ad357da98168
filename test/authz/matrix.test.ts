// Every request × every kind of caller who sends a password × every shape of rules, against an oracle that knows
// docs/access.md and none of the code. The routes come from the code's own tables: a new one that nobody has
// written down here fails.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { endpoints } from "../../src/http/v2/index.ts";
import { unmatched } from "./api-requests.ts";
import { passwordCallers } from "./callers.ts";
import { removePlace } from "./guarded-registry.ts";
import { contentOf, expectAllRight, makeScene, type Scene } from "./matrix.ts";
import type { Caller } from "./oracle.ts";
import { commonRequests, repositoryRequests, type RouteKind } from "./requests.ts";
import { shapes, yamlOf } from "./shapes.ts";

let scene: Scene;
let callers: readonly Caller[];

beforeAll(async () => {
  scene = await makeScene();
  callers = await passwordCallers(scene);
}, 60_000);
afterAll(() => {
  removePlace(scene);
});

test("every route of the code is here, with every method that it takes", () => {
  expect(unmatched()).toEqual([]);
  const here = { ...repositoryRequests(contentOf(scene, "lone")), ...commonRequests() };
  const missing = Object.entries(endpoints).flatMap(([kind, { methods }]) => {
    const asked = new Set(here[kind as RouteKind].map(({ method }) => method));
    return Object.keys(methods)
      .filter((method) => !asked.has(method))
      .map((method) => `${method} ${kind}`);
  });
  expect(missing).toEqual([]);
});

const auth = "auth: {htpasswd: {realm: basic-realm, path: DIR/htpasswd}}";

/** Where every name is judged in a way of its own; elsewhere some of them stand for all. */
const inFull = new Set([
  "globs",
  "the documented ones",
  "several rules for one, the narrower ones first and last",
]);

describe("by passwords", () => {
  for (const setting of shapes) {
    test(
      setting.name,
      async () => {
        const yaml = `${auth}\n${yamlOf(setting)}`;
        const challenges = { v2: "Basic", api: "Basic" } as const;
        const repositories = inFull.has(setting.name) ? undefined : ["public/app", "team-a/app"];
        const guarded = { setting, yaml, challenges, ...(repositories && { repositories }) };
        await expectAllRight(scene, guarded, () => callers);
      },
      60_000,
    );
  }
});
