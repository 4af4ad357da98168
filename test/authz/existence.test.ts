// Whether something lies in a repository that the caller may not see is not to be found out by naming it in one
// that they may push to: whatever is asked there, the answers are those for what lies nowhere.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { answerTo } from "./ask.ts";
import { basic } from "./callers.ts";
import { type Content, digestOf, manifestText, manifestType } from "./content.ts";
import { open, type Open, removePlace } from "./guarded-registry.ts";
import { contentOf, makeScene, type Scene } from "./matrix.ts";
import type { Caller } from "./oracle.ts";

const yaml = `auth: {htpasswd: {realm: r, path: DIR/htpasswd}}
access:
  - { repositories: ["mine/**"], users: [ann], actions: [pull, push, delete] }
  - { users: [ada], actions: [admin] }`;

const ann: Caller = {
  name: "ann",
  authorization: basic("ann", "pw"),
  who: { kind: "user", name: "ann" },
  claims: null,
};

let scene: Scene;
let registry: Open;

beforeAll(async () => {
  scene = await makeScene();
  registry = await open(scene, yaml);
  // From here on the config is always shared.
  for (const name of ["mine/one", "mine/two"]) {
    await push(name, manifestText({ config: digestOf(configText), layers: [] }));
  }
}, 60_000);
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  removePlace(scene);
});

async function ask(path: string, init: RequestInit = {}) {
  return await answerTo(registry.ask, ann, { path, init });
}

/** Everything in a manifest that need not be here (docs/design/write-ordering.md, INV-4), in turn. */
function namings(
  digest: string,
): readonly (readonly [string, Readonly<Record<string, unknown>>])[] {
  const size = 1;
  const foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar";
  return [
    ["a layer of schema 1", { fsLayers: [{ blobSum: digest }] }],
    ["a subject", { subject: { mediaType: manifestType, digest, size } }],
    ["an unknown member", { extra: { digest } }],
    [
      "a foreign layer",
      { layers: [{ mediaType: foreign, digest, size, urls: ["https://example.com/l"] }] },
    ],
  ];
}

const configText = '{"os":"linux"}';

async function push(repository: string, manifest: string): Promise<void> {
  const post = await ask(`/v2/${repository}/blobs/uploads/?digest=${digestOf(configText)}`, {
    method: "POST",
    body: configText,
  });
  expect(post.status).toBe(201);
  const headers = { "Content-Type": manifestType };
  const put = { method: "PUT", body: manifest, headers };
  expect((await ask(`/v2/${repository}/manifests/v1`, put)).status).toBe(201);
}

/** All that ann is told of her repository, with what differs by intent masked. */
async function told(repository: string, manifest: string, named: string): Promise<string> {
  await push(repository, manifest);
  const api = `/api/v1/repositories/${repository}`;
  const answers: string[] = [];
  for (const path of [
    `/v2/${repository}/manifests/v1`,
    `/v2/${repository}/blobs/${named}`,
    `/v2/${repository}/manifests/${named}`,
    `/v2/${repository}/referrers/${named}`,
    `/v2/${repository}/blobs/uploads/?mount=${named}`,
    `${api}/-/images/v1`,
    `${api}/-/images/${named}`,
    `${api}/-/images/${named}/usage`,
    `${api}/-/images/v1/referrers`,
    `${api}/-/images/v1/usage`,
    `${api}/-/tags`,
  ]) {
    const isMount = path.includes("?mount=");
    const { status, body } = await ask(path, isMount ? { method: "POST" } : {});
    answers.push(`${path} ${status} ${body}`);
  }
  return answers
    .join("\n")
    .replaceAll(named, "NAMED")
    .replaceAll(digestOf(manifest), "MANIFEST")
    .replaceAll(repository, "REPOSITORY")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME");
}

const secrets: readonly (readonly [string, (content: Content) => string])[] = [
  ["layer", ({ layer }) => layer],
  ["config", ({ config }) => config],
  ["image", ({ image }) => image],
];

test.each(secrets)("of a %s", async (kind, secretOf) => {
  const secret = secretOf(contentOf(scene, "team-a/secret"));
  const absent = digestOf(`${kind} that is nowhere`);
  for (const [at, [how]] of namings(secret).entries()) {
    const both = [];
    for (const [n, digest] of [secret, absent].entries()) {
      const more = namings(digest)[at]?.[1] ?? {};
      const manifest = manifestText({ config: digestOf(configText), layers: [], more });
      both.push(await told(`mine/${kind}/${at}${n}`, manifest, digest));
    }
    expect([how, both[0]]).toEqual([how, both[1]]);
  }
});

test("a blob that is missing and one that others have are refused in the same words", async () => {
  const secret = contentOf(scene, "team-a/secret").layer;
  const absent = digestOf("nowhere");
  const answers = await Promise.all(
    [secret, absent].map(async (layer) => {
      const manifest = manifestText({ config: layer, layers: [layer] });
      const headers = { "Content-Type": manifestType };
      const put = { method: "PUT", body: manifest, headers };
      const answer = await ask("/v2/mine/app/manifests/v1", put);
      expect(answer.status).toBe(400);
      return answer.body.replaceAll(layer, "LAYER").replaceAll(digestOf(manifest), "MANIFEST");
    }),
  );
  expect(answers[0]).toBe(answers[1] ?? "");
});
