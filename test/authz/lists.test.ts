// What lists, reports and mounts tell each kind of caller under each shape of rules: of what they may pull, and of
// nothing else; neither in an entry, nor in a cursor, a Link, a count of names or a sum of who shares.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Answer, answerTo, inParallel } from "./ask.ts";
import { passwordCallers } from "./callers.ts";
import type { Ask, Content } from "./content.ts";
import { open, removePlace } from "./guarded-registry.ts";
import { contentOf, makeScene, type Scene } from "./matrix.ts";
import { type Caller, isAdmin, isShown, mayPull, type Setting, verdict } from "./oracle.ts";
import { repositories, shapes, yamlOf } from "./shapes.ts";
import { type Claims, everyScope, tokenFor } from "./tokens.ts";

let scene: Scene;
let passwords: readonly Caller[];

beforeAll(async () => {
  scene = await makeScene();
  passwords = await knownCallers(scene);
}, 60_000);
afterAll(() => {
  removePlace(scene);
});

const htpasswd = "auth: {htpasswd: {realm: basic-realm, path: DIR/htpasswd}}";
const withIssuer = "auth: {htpasswd: {realm: basic-realm, path: DIR/htpasswd}, issuer: {}}";

/** Tokens that narrow: `seen` is what a list may show, `may` what else is asked for. */
const scopeSets: readonly (readonly [string, Claims])[] = [
  ["everything", everyScope],
  ["the catalogue alone", { "registry:catalog": ["*"] }],
  ["the catalogue and one", { "registry:catalog": ["*"], "repository:lone": ["pull", "push"] }],
  [
    "one to push to, one to mount from",
    {
      "registry:catalog": ["*"],
      "repository:lone": ["pull"],
      "repository:team-a/app": ["pull", "push"],
    },
  ],
];

async function knownCallers(place: Scene): Promise<readonly Caller[]> {
  return (await passwordCallers(place)).filter(({ who }) => who.kind !== "refused");
}

async function withTokens(ask: Ask, known: readonly Caller[]): Promise<readonly Caller[]> {
  const callers: Caller[] = [];
  for (const caller of known) {
    if (caller.who.kind === "nobody" && caller.authorization !== null) continue;
    for (const [what, claims] of scopeSets) {
      const { token } = await tokenFor(ask, caller.authorization, claims);
      const name = `${caller.name} by a token for ${what}`;
      callers.push({ ...caller, name, authorization: `Bearer ${token}`, claims });
    }
  }
  return callers;
}

/** All that could be told of an answer, with cursors as what they hold. */
function textOf({ headers, body }: Answer): string {
  const links = headers.get("link") ?? "";
  const cursors = [...`${links}${body}`.matchAll(/cursor=([\w-]+)/g)].map(([, cursor = ""]) =>
    Buffer.from(cursor, "base64url").toString(),
  );
  return decodeURIComponent([body, links, ...cursors].join("\n"));
}

/** Names of repositories, and digests of what lies nowhere else, that the answer must not hold. */
function toldOf(answer: Answer, hidden: readonly Content[]): readonly string[] {
  const text = textOf(answer);
  return hidden
    .flatMap(({ repository, image, layer, config, referrer, loose }) => {
      return [repository, image, layer, config, referrer, loose];
    })
    .filter((secret) => text.includes(secret));
}

interface Teller {
  readonly ask: (path: string) => Promise<Answer>;
  readonly hidden: readonly Content[];
  readonly visible: readonly string[];
  readonly wrong: (problem: string) => void;
}

/** Follows Links to the end. */
async function allPages(teller: Teller, path: string, key: string): Promise<readonly string[]> {
  const names: string[] = [];
  let next: string | undefined = path;
  while (next !== undefined) {
    const answer: Answer = await teller.ask(next);
    const told = toldOf(answer, teller.hidden);
    if (answer.status !== 200) teller.wrong(`${next}: ${answer.status} ${answer.body}`);
    if (told.length > 0) teller.wrong(`${next}: tells of ${told.join(", ")}`);
    const items = (JSON.parse(answer.body) as Record<string, (string | { name: string })[]>)[key];
    names.push(...(items ?? []).map((item) => (typeof item === "string" ? item : item.name)));
    next = /^<([^>]+)>/.exec(answer.headers.get("link") ?? "")?.[1];
  }
  return names;
}

async function askLists(teller: Teller, path: (query: string) => string, key: string) {
  const { visible, wrong } = teller;
  const size = key === "items" ? "limit" : "n";
  for (const query of ["", `?${size}=1`, `?${size}=2`, `?${size}=100`]) {
    const names = await allPages(teller, path(query), key);
    if (names.join() !== visible.join()) wrong(`${path(query)}: ${names.join()}`);
  }
}

/** Also from places that the caller may not know of. */
async function askCatalogue(teller: Teller): Promise<void> {
  await askLists(teller, (query) => `/v2/_catalog${query}`, "repositories");
  for (const last of [...repositories, "a", "team-a/", "zzz"]) {
    const path = `/v2/_catalog?n=1&last=${encodeURIComponent(last)}`;
    const hidden = teller.hidden.filter(({ repository }) => repository !== last);
    const names = await allPages({ ...teller, hidden }, path, "repositories");
    const wanted = teller.visible.filter((name) => name > last);
    if (names.join() !== wanted.join()) teller.wrong(`${path}: ${names.join()}`);
  }
}

const reports = [
  "/usage/repositories",
  "/usage/repositories?by=logical&limit=1",
  "/usage/tags",
  "/usage/blobs",
  "/usage/blobs?limit=1000&repositories=**",
  "/usage/ages",
  ...repositories.map(
    (name) => `/repositories?search=${encodeURIComponent(name.slice(1, -1))}&limit=1`,
  ),
];

async function askApi(teller: Teller): Promise<void> {
  await askLists(teller, (query) => `/api/v1/repositories${query}`, "items");
  for (const path of reports) {
    const answer = await teller.ask(`/api/v1${path}`);
    const told = toldOf(answer, teller.hidden);
    if (answer.status !== 200) teller.wrong(`${path}: ${answer.status} ${answer.body}`);
    if (told.length > 0) teller.wrong(`${path}: tells of ${told.join(", ")}`);
  }
  const ages = JSON.parse((await teller.ask("/api/v1/usage/ages")).body) as {
    items: { manifests: number }[];
  };
  const counted = ages.items.reduce((sum, { manifests }) => sum + manifests, 0);
  if (counted !== 2 * teller.visible.length) teller.wrong(`ages count ${counted} manifests`);
  await askPreview(teller);
}

/** What may not be seen counts as not being there, by whatever name. */
async function askPreview(teller: Teller): Promise<void> {
  const absent = [...repositories, "no/such"].filter((name) => !teller.visible.includes(name));
  const of = absent.flatMap((name) => {
    const { image } = contentOf(scene, repositories.find((one) => one === name) ?? "lone");
    return [name, `${name}:v1`, `${name}@${image}`];
  });
  const answer = await teller.ask(`/api/v1/deletions/preview?of=${of.join(",")}`);
  const { unknown, manifests, blobs, freed, going } = JSON.parse(answer.body) as Readonly<
    Record<string, unknown>
  >;
  const told = JSON.stringify([manifests, blobs, freed, going, [...(unknown as string[])].sort()]);
  if (told !== JSON.stringify([0, 0, [], [], [...of].sort()])) {
    teller.wrong(`the preview tells ${answer.body}`);
  }
}

/** In a repository that may be seen, by what lies in those that may not. */
async function askWithin(teller: Teller, repository: string): Promise<void> {
  const { image } = contentOf(scene, repository);
  const api = `/api/v1/repositories/${repository}`;
  for (const path of [
    `/v2/${repository}/tags/list`,
    `/v2/${repository}/referrers/${image}`,
    api,
    `${api}/-/tags`,
    `${api}/-/usage`,
    `${api}/-/images/v1`,
    `${api}/-/images/v1/usage`,
    `${api}/-/images/v1/referrers`,
  ]) {
    const answer = await teller.ask(path);
    const told = toldOf(answer, teller.hidden);
    if (answer.status !== 200) teller.wrong(`${path}: ${answer.status} ${answer.body}`);
    if (told.length > 0) teller.wrong(`${path}: tells of ${told.join(", ")}`);
  }
  for (const other of teller.hidden) {
    const statuses = await Promise.all(
      [
        `/v2/${repository}/manifests/${other.image}`,
        `/v2/${repository}/blobs/${other.layer}`,
        `/v2/${repository}/blobs/${other.image}`,
        `${api}/-/images/${other.image}`,
        `${api}/-/images/${other.image}/usage`,
      ].map(async (path) => (await teller.ask(path)).status),
    );
    if (statuses.some((status) => status !== 404)) {
      teller.wrong(`${repository} by what lies in ${other.repository}: ${statuses.join()}`);
    }
    const referrers = await teller.ask(`/v2/${repository}/referrers/${other.image}`);
    if (!referrers.body.includes('"manifests":[]')) teller.wrong(`referrers: ${referrers.body}`);
  }
}

async function problemsOf(ask: Ask, setting: Setting, caller: Caller): Promise<readonly string[]> {
  const wrong: string[] = [];
  const tellerOf = (shows: (repository: string) => boolean): Teller => ({
    ask: (path) => answerTo(ask, caller, { path, init: {} }),
    hidden: [...scene.contents.values()].filter(({ repository }) => !shows(repository)),
    visible: [...repositories].filter(shows).sort(),
    wrong: (problem) => void wrong.push(`${caller.name}: ${problem}`),
  });
  const catalog = { kind: "catalog" } as const;
  if (verdict(setting, caller, { needs: catalog, isApi: false }) === "in") {
    await askCatalogue(tellerOf((repository) => isShown(setting, caller, repository)));
  }
  const admin = isAdmin(setting, caller);
  if (verdict(setting, caller, { needs: catalog, isApi: true }) === "in") {
    await askApi(tellerOf((repository) => admin || isShown(setting, caller, repository)));
  }
  const own = tellerOf((repository) => admin || isShown(setting, caller, repository));
  for (const repository of repositories) {
    if (mayPull(setting, caller, repository)) await askWithin(own, repository);
  }
  return wrong;
}

async function expectNothingTold(setting: Setting, auth: string): Promise<void> {
  await using registry = await open(scene, `${auth}\n${yamlOf(setting)}`);
  const { ask } = registry;
  const callers = auth === htpasswd ? passwords : await withTokens(ask, passwords);
  const wrong: string[] = [];
  await inParallel(callers, async (caller) => {
    wrong.push(...(await problemsOf(ask, setting, caller)));
  });
  expect(wrong).toEqual([]);
}

describe("lists and reports tell of what may be pulled", () => {
  for (const setting of shapes) {
    test(`by passwords: ${setting.name}`, () => expectNothingTold(setting, htpasswd), 60_000);
  }
  for (const setting of shapes.slice(0, 5)) {
    test(`by tokens: ${setting.name}`, () => expectNothingTold(setting, withIssuer), 60_000);
  }
});

const mountShapes = new Set([
  "the documented ones",
  "globs",
  "push without pull, delete without pull",
]);

async function mounters(ask: Ask, known: readonly Caller[]): Promise<readonly Caller[]> {
  const all = await withTokens(ask, known);
  return all.filter(({ name }) => /for everything$|to mount from$/.test(name));
}

describe("a mount takes from where the caller may pull, and else tells nothing", () => {
  /** Who has the blob that is to be mounted from each, after all that was mounted so far. */
  const holders = new Map<string, Set<string>>();

  async function mountAll(ask: Ask, setting: Setting, caller: Caller): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const target of repositories) {
      const needs = { kind: "repository", repository: target, actions: ["pull", "push"] } as const;
      const mayPush = verdict(setting, caller, { needs, isApi: false });
      for (const source of repositories) {
        const { mountable } = contentOf(scene, source);
        const held = holders.get(source) ?? new Set();
        for (const from of [`&from=${source}`, "", "&from=", "&from=no/such", `&from=${target}`]) {
          const path = `/v2/${target}/blobs/uploads/?mount=${mountable}${from}`;
          const answer = await answerTo(ask, caller, { path, init: { method: "POST" } });
          const name = from.slice(6);
          const sources = name === "" ? [...held] : [name].filter((one) => held.has(one));
          const isThere = sources.some((one) => mayPull(setting, caller, one));
          const wanted = mayPush === "in" ? (isThere ? 201 : 202) : Number(mayPush);
          if (answer.status !== wanted) {
            wrong.push(`${caller.name}: ${path}: ${answer.status}, not ${wanted}`);
          }
          if (answer.status === 201) held.add(target);
        }
      }
    }
    return wrong;
  }

  for (const [auth, settings] of [
    [htpasswd, shapes.filter(({ name }) => mountShapes.has(name))],
    [withIssuer, shapes.slice(3, 5)],
  ] as const) {
    for (const setting of settings) {
      const by = auth === htpasswd ? "passwords" : "tokens";
      test(`by ${by}: ${setting.name}`, async () => {
        // Else the shapes before would have put everything everywhere.
        const fresh = await makeScene();
        for (const name of repositories) holders.set(name, new Set([name]));
        const known = await knownCallers(fresh);
        try {
          await using registry = await open(fresh, `${auth}\n${yamlOf(setting)}`);
          const callers = auth === htpasswd ? known : await mounters(registry.ask, known);
          for (const caller of callers) {
            expect(await mountAll(registry.ask, setting, caller)).toEqual([]);
          }
        } finally {
          removePlace(fresh);
        }
      }, 60_000);
    }
  }
});
