// The commands of the model tests, as fast-check draws them. Each one runs on model and registry, and then
// every answer of the registry is compared with the model.
import * as fc from "fast-check";
import type { Tag } from "../../src/oci/index.ts";
import { expectSameAnswers, expectSameTree } from "./check.ts";
import type { Both, Where } from "./client.ts";
import * as client from "./client.ts";
import { callers, type Content, contentOf, contents, layers, nameOf } from "./content.ts";
import { repositories, tags } from "./content.ts";
import { graceMs, type Model } from "./model.ts";
import * as operate from "./operate.ts";
import type { Real } from "./real.ts";
import { retain } from "./retention.ts";
import * as undo from "./undo-client.ts";

export type Command = fc.AsyncCommand<Model, Real>;

/** What a command does, and how it is told in a failing history. */
interface Act {
  readonly says: string;
  readonly does: (both: Both) => Promise<unknown>;
}

function command({ says, does }: Act): Command {
  return {
    check: () => true,
    run: async (model, real) => {
      const both: Both = { model, real, underWay: new Set() };
      await does(both);
      await expectSameAnswers(both);
    },
    toString: () => says,
  };
}

const where: fc.Arbitrary<Where> = fc.record({
  repository: fc.constantFrom(...repositories),
  caller: fc.constantFrom(...callers),
});
const at = ({ repository, caller }: Where): string => `in ${repository} by ${caller}`;
const layer = fc.constantFrom(...layers);
const content = fc.constantFrom(...contents);
const anyDigest = fc.oneof(
  { weight: 4, arbitrary: layer },
  { weight: 1, arbitrary: content.map(({ digest }) => digest) },
);
const someTags = fc.subarray([...tags], { minLength: 1 });

const uploads = fc.record({ where, digest: layer }).chain(({ where: place, digest }) =>
  fc.constantFrom<Act>(
    {
      says: `upload "${nameOf(digest)}" ${at(place)}`,
      does: (both) => client.upload(both, place, digest),
    },
    {
      says: `HEAD "${nameOf(digest)}" ${at(place)}`,
      does: (both) => client.lookAtBlob(both, place, digest),
    },
    {
      says: `leave an upload of "${nameOf(digest)}" ${at(place)}`,
      does: (both) => client.leaveUpload(both, place, digest),
    },
    {
      says: `upload with a wrong digest ${at(place)}`,
      does: (both) => client.uploadWrong(both, place),
    },
    {
      says: `the oldest upload goes on, by ${place.caller}`,
      does: (both) => client.goOnWithUpload(both, place.caller),
    },
    { says: "uploads expire", does: client.expireUploads },
  ),
);

const mounts = fc
  .record({ where, digest: anyDigest, from: fc.option(fc.constantFrom(...repositories)) })
  .map(({ where: place, digest, from }): Act => ({
    says: `mount "${nameOf(digest)}" from ${from ?? "anywhere"} ${at(place)}`,
    does: (both) => client.mount(both, place, { digest, from }),
  }));

interface Push {
  readonly where: Where;
  readonly content: Content;
  readonly tags: readonly Tag[];
  readonly byDigest: boolean;
}

/** With tags and by tag, with tags and by digest (`?tag=`), or by digest alone. */
const manifestPush: fc.Arbitrary<Push> = fc.record({
  where,
  content,
  tags: fc.oneof({ weight: 2, arbitrary: someTags }, { weight: 1, arbitrary: fc.constant([]) }),
  byDigest: fc.boolean(),
});
function tellPush({ where: place, content: what, tags: names, byDigest }: Push): string {
  const how = byDigest ? "by digest" : "by tag";
  return `${what.name} as [${names.join(" ")}] ${how} ${at(place)}`;
}

/** As clients push: what is not there yet is uploaded, children come before their index. */
async function pushAll(both: Both, push: Push): Promise<void> {
  for (const digest of push.content.blobs) {
    if (!(await client.lookAtBlob(both, push.where, digest))) {
      await client.upload(both, push.where, digest);
    }
  }
  for (const child of push.content.children.map((digest) => contentOf(digest) as Content)) {
    await pushAll(both, { where: push.where, content: child, tags: [], byDigest: true });
  }
  const accepted = await client.put(both, push.where, push);
  if (!accepted) throw new Error("a push from the start was refused");
}

const manifests = manifestPush.chain((push) =>
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constant<Act>({
        says: `push ${tellPush(push)}`,
        does: (both) => pushAll(both, push),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.constant<Act>({
        says: `PUT ${tellPush(push)}`,
        does: (both) => client.put(both, push.where, push),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.constant<Act>({
        says: `HEAD ${push.content.name} ${at(push.where)}`,
        does: (both) => client.lookAtManifest(both, push.where, push.content.digest),
      }),
    },
  ),
);

const deletions = fc
  .record({ where, content, digest: anyDigest, tag: fc.constantFrom(...tags) })
  .chain(({ where: { repository }, content: { name, digest: manifest }, digest, tag }) =>
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.constantFrom<Act>(
          {
            says: `delete ${name} in ${repository}`,
            does: (both) => client.deleteManifest(both, repository, manifest),
          },
          {
            says: `delete tag ${tag} in ${repository}`,
            does: (both) => client.deleteTag(both, repository, tag),
          },
          {
            says: `delete blob "${nameOf(digest)}" in ${repository}`,
            does: (both) => client.deleteBlob(both, repository, digest),
          },
        ),
      },
      {
        weight: 1,
        arbitrary: fc.constant<Act>({
          says: `delete everything in ${repository}`,
          does: (both) => deleteAll(both, repository),
        }),
      },
    ),
  );

async function deleteAll(both: Both, repository: Where["repository"]): Promise<void> {
  const here = both.model.at(repository);
  for (const digest of here.manifests.keys()) {
    await client.deleteManifest(both, repository, digest);
  }
  for (const digest of here.layers) await client.deleteBlob(both, repository, digest);
}

const retentions = fc
  .record({ where, tags: someTags })
  .map(({ where: { repository }, tags: names }): Act => ({
    says: `retention lets [${names.join(" ")}] go in ${repository}`,
    does: (both) => retain(both, repository, names),
  }));

const deletedThings = fc.oneof(
  fc.constantFrom(...tags).map((tag) => ({ tag })),
  content.map(({ digest }) => ({ digest })),
);

const undoing = fc
  .record({ where, content, what: deletedThings, force: fc.boolean() })
  .chain(({ where: place, content: { name, digest }, what, force }) =>
    fc.oneof(
      {
        weight: 1,
        arbitrary: fc.constant<Act>({
          says: `delete ${name} with all that belongs to it ${at(place)}`,
          does: (both) => undo.deleteImage(both, place.repository, digest),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.constant<Act>({
          says: `restore ${"tag" in what ? what.tag : nameOf(what.digest)} ${at(place)}${force ? ", forcing tags" : ""}`,
          does: (both) => undo.restore(both, place, { what, force }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc
          .record({ n: fc.nat(9), as: fc.constantFrom<undo.DeleteAs>("tag", "manifest", "image") })
          .map(({ n, as }): Act => ({
            says: `delete ${as} ${n} of those that are there`,
            does: (both) => undo.deleteNth(both, n, as),
          })),
      },
      {
        weight: 4,
        arbitrary: fc.nat(9).map((n): Act => ({
          says: `restore deletion ${n} of those that are left${force ? ", forcing tags" : ""}`,
          does: (both) => undo.restoreNth(both, n, { caller: place.caller, force }),
        })),
      },
    ),
  );

const collections = fc
  .record({ untagged: fc.boolean(), keep: fc.constantFrom(0, 3, 24) })
  .map(({ untagged, keep }): Act => ({
    says: `collect${untagged ? " -m" : ""}${keep > 0 ? ` and keep deletions for ${keep} graces` : ""}`,
    does: (both) => operate.collect(both, { untagged, keepDeletedMs: keep * graceMs }),
  }));

/** Parts of the grace: leases run out, or have more or less than half of their time left. */
const waits = fc.constantFrom(0.2, 0.3, 0.6, 1.1, 9).map((share): Act => ({
  says: `wait ${share} of the grace`,
  does: async ({ real }) => void (real.clock.nowMs += Math.round(share * graceMs)),
}));

const clients = fc.oneof(
  { weight: 5, arbitrary: uploads },
  { weight: 2, arbitrary: mounts },
  { weight: 8, arbitrary: manifests },
  { weight: 4, arbitrary: deletions },
  { weight: 1, arbitrary: retentions },
  { weight: 6, arbitrary: undoing },
);

const lives = fc.constantFrom<Act>(
  { says: "restart", does: operate.restart },
  { says: "kill", does: (both) => operate.kill(both) },
  { says: "the tree catches up", does: expectSameTree },
);

const deaths = fc
  .record({
    death: fc.record({
      of: fc.constantFrom("storage" as const, "index" as const),
      at: fc.integer({ min: 1, max: 20 }),
      when: fc.constantFrom("before" as const, "after" as const),
    }),
    act: fc.oneof({ weight: 2, arbitrary: clients }, { weight: 1, arbitrary: collections }),
  })
  .map(({ death, act }): Act => ({
    says: `killed ${death.when} change ${death.at} of the ${death.of} during: ${act.says}`,
    does: (both) => operate.dieDuring(both, death, () => act.does(both).then(() => undefined)),
  }));

export const commands: fc.Arbitrary<Command>[] = [
  // Drawn with equal chances, so that the kinds are weighed by how often they stand here.
  ...Array.from({ length: 7 }, () => clients),
  collections,
  waits,
  fc.oneof(lives, deaths),
].map((acts) => acts.map(command));
