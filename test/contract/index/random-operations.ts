// Any sequence of what clients, the collector and foreign hands do to a registry. Few names and few
// digests, so that they meet.
import * as fc from "fast-check";
import type { Digest, RepositoryName } from "../../../src/oci/index.ts";
import type { Difference } from "../../../src/registry/ports/index.ts";
import { retireTag, retireUntagged } from "./call-retention.ts";
import { collectOnce } from "./collect.ts";
import { deleteImage, deleteTag, deletionBy, listed, readHeld } from "./undo.ts";
import {
  blobNo,
  type Content,
  contentOf,
  type ManifestSpec,
  repo,
  tag,
  type World,
} from "./world.ts";

const repositories = ["a", "a/b", "c"] as const;
const callers = ["alice", "bob"] as const;
const tagTexts = ["latest", "v1"] as const;

/** Manifests to push: images that share blobs, indexes over them, referrers to them, one to nothing. */
const specs: readonly ManifestSpec[] = (() => {
  const made: ManifestSpec[] = [
    { config: blobNo(1), layers: [blobNo(2), blobNo(3)] },
    { config: blobNo(1), layers: [blobNo(3), blobNo(4)] },
    { config: blobNo(4) },
  ];
  const digests = made.map((spec) => contentOf(spec).digest);
  const [first, second, third] = digests as [Digest, Digest, Digest];
  made.push(
    { children: [first, second] },
    { children: [second], subject: third },
    { config: blobNo(2), subject: first, more: { artifactType: "x/signature" } },
    { config: blobNo(2), subject: second, more: { artifactType: "x/signature" } },
    { config: blobNo(3), subject: contentOf({ config: blobNo(99) }).digest },
    { config: blobNo(3), more: { extra: { digest: blobNo(5) } } },
  );
  made.push({ children: [contentOf(made[3] as ManifestSpec).digest] });
  made.push({ config: blobNo(2), subject: contentOf(made[5] as ManifestSpec).digest });
  return made;
})();

export const contents: ReadonlyMap<Digest, Content> = new Map(
  specs.map((spec) => {
    const content = contentOf(spec);
    return [content.digest, content];
  }),
);
const digests: readonly Digest[] = [...contents.keys(), ...[1, 2, 3, 4, 5].map(blobNo)];

const anyRepository = fc.constantFrom(...repositories).map(repo);
const anyCaller = fc.constantFrom(...callers);
const anyTag = fc.constantFrom(...tagTexts).map(tag);
const anyDigest = fc.constantFrom(...digests);
const anySpec = fc.constantFrom(...specs);

export interface Operation {
  /** Shown when a sequence fails. */
  readonly text: string;
  readonly run: (world: World) => Promise<unknown>;
}

const operation = (text: string, run: Operation["run"]): Operation => ({
  text,
  run,
});

const pushing: fc.Arbitrary<Operation>[] = [
  fc
    .tuple(anyRepository, fc.integer({ min: 1, max: 5 }), anyCaller)
    .map(([name, n, who]) =>
      operation(`upload ${name} ${n} ${who}`, (world) => world.upload(name, n, who)),
    ),
  // A whole push is likelier than its parts one by one.
  fc
    .tuple(anyRepository, anySpec, fc.subarray([...tagTexts]), anyCaller)
    .map(([name, what, tags, caller]) =>
      operation(`push ${name} ${specs.indexOf(what)} [${tags.join()}] ${caller}`, async (world) => {
        for (const n of [1, 2, 3, 4]) await world.upload(name, n, caller);
        return await world.put(name, { ...what, tags, caller });
      }),
    ),
  fc
    .tuple(anyRepository, anySpec, fc.subarray([...tagTexts]), anyCaller)
    .map(([name, what, tags, caller]) =>
      operation(`put ${name} ${specs.indexOf(what)} [${tags.join()}] ${caller}`, (world) =>
        world.put(name, { ...what, tags, caller }),
      ),
    ),
  fc
    .tuple(anyDigest, fc.option(anyRepository), anyRepository, anyCaller)
    .map(([what, from, to, who]) =>
      operation(`mount ${what} ${from} ${to} ${who}`, (world) =>
        world.index.mountBlob({ digest: what, from, to, terms: world.terms(who) }),
      ),
    ),
  fc
    .tuple(anyRepository, anyDigest, anyCaller)
    .map(([name, what, who]) =>
      operation(`head ${name} ${what} ${who}`, async (world) => [
        await world.index.findAndLeaseBlob(name, what, world.terms(who)),
        await world.index.findAndLeaseManifest(name, what, world.terms(who)),
      ]),
    ),
  fc.tuple(anyRepository, fc.integer({ min: 1, max: 3 }), anyCaller).map(([name, n, who]) =>
    operation(`upload session ${name} ${n} ${who}`, async (world) => {
      const id = `session-${n}`;
      const known = await world.index.findUpload(name, id);
      const terms = world.terms(who);
      if (known !== null) return await world.index.touchUpload({ id, repository: name, terms });
      await world.index.endUpload(id);
      const upload = { id, repository: name, owner: null, startedAtMs: world.nowMs, terms };
      return await world.index.beginUpload(upload);
    }),
  ),
  fc
    .integer({ min: 1, max: 3 })
    .map((n) => operation(`end session ${n}`, (world) => world.index.endUpload(`session-${n}`))),
];

const deleting: fc.Arbitrary<Operation>[] = [
  fc
    .tuple(anyRepository, anyDigest)
    .map(([name, what]) =>
      operation(`delete manifest ${name} ${what}`, (world) =>
        world.index.deleteManifest(name, what, world.nowMs),
      ),
    ),
  fc
    .tuple(anyRepository, anyDigest)
    .map(([name, what]) =>
      operation(`delete restorably ${name} ${what}`, (world) => world.deleteRestorably(name, what)),
    ),
  fc
    .tuple(anyRepository, anyDigest)
    .map(([name, what]) =>
      operation(`delete image ${name} ${what}`, (world) => deleteImage(world, name, what)),
    ),
  fc
    .tuple(anyRepository, anyTag)
    .map(([name, which]) =>
      operation(`delete tag restorably ${name} ${which}`, (world) => deleteTag(world, name, which)),
    ),
  anyRepository.map((name) =>
    operation(`delete repository ${name}`, (world) =>
      world.index.deleteRepository(name, deletionBy(world)),
    ),
  ),
  fc.tuple(fc.nat(9), fc.boolean()).map(([n, forceTags]) =>
    operation(`restore deletion ${n} ${forceTags}`, async (world) => {
      const entries = await listed(world);
      const entry = entries[n % Math.max(1, entries.length)];
      if (entry === undefined) return null;
      const held = await readHeld(world, entry.id, contents);
      return await world.index.restoreDeletion({ ...held, forceTags });
    }),
  ),
  fc
    .tuple(anyRepository, anyTag)
    .map(([name, which]) =>
      operation(`delete tag ${name} ${which}`, (world) =>
        world.index.deleteTag(name, which, world.nowMs),
      ),
    ),
  fc
    .tuple(anyRepository, anyDigest)
    .map(([name, what]) =>
      operation(`delete blob ${name} ${what}`, (world) =>
        world.index.unlinkBlob(name, what, world.nowMs),
      ),
    ),
  fc
    .tuple(anyRepository, anyTag)
    .map(([name, which]) =>
      operation(`retire ${name} ${which}`, (world) => retireTag(world, name, which)),
    ),
  anyRepository.map((name) =>
    operation(`retire untagged ${name}`, (world) => retireUntagged(world, name)),
  ),
];

const collecting: fc.Arbitrary<Operation>[] = [
  fc.constantFrom(1, 1_000, 1_900_000, 3_600_000, 90_000_000).map((ms) =>
    operation(`${ms} ms pass`, (world) => {
      world.nowMs += ms;
      return Promise.resolve();
    }),
  ),
  fc.boolean().map((untagged) =>
    operation(untagged ? "collect untagged" : "collect", (world) =>
      collectOnce(world.index, {
        nowMs: world.nowMs,
        untagged,
        foreignGraceMs: 1_000_000,
        keepDeletedMs: 1_000_000,
      }),
    ),
  ),
  fc.constant(
    operation("condemn without forgetting", async (world) => {
      const page = await world.index.blobCandidates({ after: null, limit: 50, nowMs: world.nowMs });
      await world.index.condemn(page, { nowMs: world.nowMs, foreignGraceMs: 0 });
    }),
  ),
  fc.constant(
    operation("drop empty repositories", (world) => world.index.dropEmptyRepositories(100)),
  ),
  fc.constant(
    operation("expire leases", (world) =>
      world.index.expireLeases({ nowMs: world.nowMs, limit: 2 }),
    ),
  ),
  fc.constant(operation("the tree follows", (world) => world.owed())),
];

/** A change of the tree by foreign hands, found by the comparison. */
const foreign: fc.Arbitrary<Operation>[] = [
  fc.tuple(anyDigest, fc.boolean()).map(([what, there]) =>
    operation(`foreign blob ${what} ${there}`, (world) => {
      const sizeBytes = there ? 7 : null;
      world.tree.setBlob(what, sizeBytes);
      return absorb(world, { kind: "blob", digest: what, sizeBytes, modifiedMs: world.nowMs });
    }),
  ),
  fc.tuple(anyRepository, anyDigest, fc.boolean()).map(([name, what, there]) =>
    operation(`foreign layer ${name} ${what} ${there}`, (world) => {
      const place = { kind: "layer", repository: name, digest: what } as const;
      world.tree.setLink(place, there ? what : null);
      return absorb(world, { ...place, there });
    }),
  ),
  fc.tuple(anyRepository, anyTag, fc.option(anyDigest)).map(([name, which, what]) =>
    operation(`foreign tag ${name} ${which} ${what}`, (world) => {
      const place = { kind: "tag", repository: name, tag: which } as const;
      world.tree.setLink(place, what);
      return absorb(world, { ...place, digest: what, modifiedMs: world.nowMs });
    }),
  ),
  fc
    .tuple(
      anyRepository,
      fc.constantFrom(...contents.values()),
      fc.constantFrom("there", "gone", "bent"),
    )
    .map(([name, content, how]) =>
      operation(`foreign revision ${name} ${content.digest} ${how}`, (world) =>
        absorbRevision(world, name, { content, how }),
      ),
    ),
];

async function absorb(world: World, ...differences: Difference[]): Promise<void> {
  await world.index.absorb(differences, { nowMs: world.nowMs, recheck: true });
}

async function absorbRevision(
  world: World,
  repository: RepositoryName,
  { content, how }: { readonly content: Content; readonly how: string },
): Promise<void> {
  const { digest, bytes, manifest } = content;
  const place = { kind: "revision", repository, digest } as const;
  const there = how !== "gone";
  world.tree.setLink(place, there ? digest : null);
  if (there) world.tree.setBlob(digest, bytes.length);
  const blob = { kind: "blob", digest, sizeBytes: bytes.length, modifiedMs: world.nowMs } as const;
  const revision = {
    ...place,
    there,
    manifest: how === "there" ? manifest : null,
    sizeBytes: bytes.length,
  };
  await absorb(world, ...(there ? [blob, revision] : [revision]));
}

/** Pushes are the likeliest, so that there is something to delete. */
export const clientOperations: fc.Arbitrary<readonly Operation[]> = sequence([
  ...pushing,
  ...pushing,
  ...deleting,
  ...collecting,
]);

export const anyOperations: fc.Arbitrary<readonly Operation[]> = sequence([
  ...pushing,
  ...pushing,
  ...deleting,
  ...collecting,
  ...foreign,
]);

function sequence(kinds: fc.Arbitrary<Operation>[]): fc.Arbitrary<readonly Operation[]> {
  return fc.array(fc.oneof(...kinds), { minLength: 1, maxLength: 60, size: "max" });
}
