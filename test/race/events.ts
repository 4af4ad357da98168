// What may happen while a collection runs, as a table: what it takes beforehand, the request itself, and
// how its client goes on. A client that was told that something is there relies on it; one that was
// refused pushes from the start.
import {
  BlobUnknownError,
  DeniedError,
  type Digest,
  ManifestUnknownError,
  NameUnknownError,
} from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import type { Artifact } from "../crash/content.ts";
import { stray } from "../crash/content.ts";
import {
  beginUpload,
  finishUpload,
  isThere,
  push,
  pushKept,
  put,
  type Scene,
  upload,
} from "./scene.ts";
import { firstCaller, other, type Pushed, type Shape, shapes, tags, three } from "./shapes.ts";

/** A stretch of a collection; each answer of an event is certain before one and after another of them. */
export const stretches = ["whole", "manifests gone", "blobs condemned"] as const;
export type Stretch = (typeof stretches)[number];

export interface Event {
  /** Before leases run out. */
  readonly beforehand?: (scene: Scene) => Promise<void>;
  /** After leases have run out, before the collection. */
  readonly prepare?: (scene: Scene) => Promise<string>;
  /** The request; true: granted. Throws what no client should be told. */
  readonly act: (scene: Scene, prepared: string) => Promise<boolean>;
  /** What it makes sense for; whatever has a layer of its own if it does not say. */
  readonly of?: readonly Shape[];
  /** Its transaction: where it can be stopped, having looked and not yet decided. */
  readonly decides: keyof Index;
  /** Holds the exclusion of this when it decides (INV-3), so that a collection waits for it. */
  readonly excludes?: (shape: Shape) => Digest;
  /** Granted for certain up to here; refused for certain from the next one on, but for "always". */
  readonly grantedIn: (scene: Scene) => readonly Stretch[];
  readonly refusedIn: (scene: Scene) => readonly Stretch[];
  /** What the client does next; what stands for good then, in which repository. */
  readonly goOn: (scene: Scene, granted: boolean) => Promise<readonly Pushed[]>;
}

const always = (): readonly Stretch[] => stretches;
const never = (): readonly Stretch[] => [];

/** The manifest and all below it stand. */
function standing(scene: Scene, artifacts: readonly Artifact[], place = scene.place): Pushed[] {
  return artifacts.map(({ digest }) => ({ repository: place, digest }));
}

/** Pushes it all with a tag; what was told to be there is relied upon. */
async function pushAgain(
  scene: Scene,
  granted: boolean,
  place = scene.place,
): Promise<readonly Pushed[]> {
  const { world, shape, caller } = scene;
  const known = granted ? [shape.own] : [];
  await push(world, { repository: place, artifact: shape.top, tag: tags.again, caller, known });
  return standing(scene, shape.manifests, place);
}

/** For a layer: granted while it is a fact, 404 once it is condemned. */
const ofLayer = {
  grantedIn: (): readonly Stretch[] => ["whole", "manifests gone"],
  refusedIn: (): readonly Stretch[] => ["blobs condemned"],
};

/** For what names children: they may be gone sooner than the layers. */
const ofNamed = {
  grantedIn: ({ shape }: Scene): readonly Stretch[] =>
    shape === shapes.manifest
      ? stretches
      : shape === shapes.index
        ? ["whole"]
        : ["whole", "manifests gone"],
  refusedIn: ({ shape }: Scene): readonly Stretch[] =>
    shape === shapes.manifest ? [] : ["blobs condemned"],
};

/** Of manifests alone, whatever becomes of their layers. */
const ofAll = { of: Object.values(shapes) };

export function isPossible(event: Event, shape: Shape): boolean {
  return event.of?.includes(shape) ?? shape !== shapes.manifest;
}

const uploadEnd: Pick<Event, "decides" | "excludes" | "grantedIn" | "refusedIn" | "goOn"> = {
  decides: "finishUpload",
  excludes: ({ own }) => own,
  grantedIn: always,
  refusedIn: never,
  goOn: pushAgain,
};

const layerOf = ({ place, shape, caller }: Scene): Parameters<typeof upload>[1] => ({
  repository: place,
  digest: shape.own,
  caller,
});

/** Gone for good, whatever the client was told: nothing of it stands. */
const nothingStands = async (): Promise<readonly Pushed[]> => [];

export const events: Readonly<Record<string, Event>> = {
  /** The session began before the collection, so the repository stays. */
  "upload end": {
    ...uploadEnd,
    prepare: (scene) => beginUpload(scene.world, layerOf(scene)),
    act: async (scene, id) => {
      await finishUpload(scene.world, layerOf(scene), id);
      return true;
    },
  },
  upload: {
    ...uploadEnd,
    act: async (scene) => {
      await upload(scene.world, layerOf(scene));
      return true;
    },
  },
  HEAD: {
    ...ofLayer,
    decides: "findAndLeaseBlob",
    act: ({ world, place, shape, caller }) =>
      isThere(() => world.services.blobs.findForPush(place, shape.own, caller)),
    goOn: pushAgain,
  },
  "HEAD of the manifest": {
    ...ofAll,
    decides: "findAndLeaseManifest",
    grantedIn: () => ["whole"],
    refusedIn: () => ["manifests gone", "blobs condemned"],
    act: ({ world, place, shape, caller }) =>
      unless([ManifestUnknownError, NameUnknownError], () =>
        world.services.manifests.findForPush(place, shape.top.digest, caller),
      ),
    goOn: async (scene, granted) => {
      const { world, place, shape, caller } = scene;
      const { top, parent } = shape;
      if (!granted) await push(world, { repository: place, artifact: top, tag: null, caller });
      await put(world, { repository: place, artifact: parent, tag: tags.again, caller });
      return standing(scene, [...shape.manifests, parent]);
    },
  },
  mount: {
    ...ofLayer,
    decides: "mountBlob",
    act: ({ world, repositories, place: from, shape, caller }) => {
      const to = repositories === 1 ? from : three;
      return isThere(() => world.services.blobs.mount({ digest: shape.own, from, to, caller }));
    },
    goOn: (scene, granted) =>
      pushAgain(scene, granted, scene.repositories === 1 ? scene.place : three),
  },
  "manifest PUT": {
    ...ofNamed,
    decides: "acceptManifest",
    act: async ({ world, place, shape, caller }) => {
      // What is new comes first; what the registry should have is not looked at.
      for (const digest of shape.newcomer.blobs) {
        if (digest !== shape.own) await upload(world, { repository: place, digest, caller });
      }
      const wanted = { repository: place, artifact: shape.newcomer, tag: tags.again, caller };
      return isThere(() => put(world, wanted).then(() => true));
    },
    goOn: async (scene, granted) => {
      const { world, place, shape, caller } = scene;
      const { newcomer } = shape;
      const wanted = { repository: place, artifact: newcomer, tag: tags.again, caller };
      if (!granted) await push(world, wanted);
      const children = shape.manifests.filter(({ digest }) => newcomer.children.includes(digest));
      return standing(scene, [newcomer, ...children]);
    },
  },
  "manifest PUT by digest": {
    ...ofNamed,
    ...ofAll,
    decides: "acceptManifest",
    excludes: ({ top }) => top.digest,
    act: ({ world, place, shape, caller }) =>
      isThere(() =>
        put(world, { repository: place, artifact: shape.top, tag: null, caller }).then(() => true),
      ),
    goOn: async (scene, granted) => {
      const { world, place, shape, caller } = scene;
      const wanted = { repository: place, artifact: shape.top, tag: tags.again, caller };
      await (granted ? put(world, wanted) : push(world, wanted));
      return standing(scene, shape.manifests);
    },
  },
  "tag move": {
    ...ofNamed,
    ...ofAll,
    decides: "acceptManifest",
    excludes: ({ top }) => top.digest,
    beforehand: (scene) => pushKept(scene, tags.latest),
    act: ({ world, place, shape, caller }) =>
      isThere(() =>
        put(world, { repository: place, artifact: shape.top, tag: tags.latest, caller }).then(
          () => true,
        ),
      ),
    goOn: async (scene, granted) => {
      const { world, place, shape, caller } = scene;
      const target = (await world.services.manifests.find(place, tags.latest)).digest;
      if (target !== (granted ? shape.top : other).digest) throw new Error("the tag lies");
      const wanted = { repository: place, artifact: shape.top, tag: tags.latest, caller };
      if (!granted) await push(world, wanted);
      return standing(scene, shape.manifests);
    },
  },
  "tag delete": {
    ...ofAll,
    decides: "deleteTagRestorably",
    grantedIn: always,
    refusedIn: never,
    beforehand: (scene) => pushKept(scene, tags.kept),
    act: async ({ world, place }) => {
      await world.services.manifests.delete(place, tags.kept, firstCaller);
      return true;
    },
    goOn: async ({ world, place }) => {
      const found = await unless([ManifestUnknownError, NameUnknownError], () =>
        world.services.manifests.find(place, tags.kept),
      );
      if (found) throw new Error("the tag was deleted and is there");
      return [];
    },
  },
  "manifest delete": {
    ...ofAll,
    decides: "deleteRestorably",
    grantedIn: always,
    refusedIn: never,
    beforehand: (scene) => pushKept(scene, tags.kept),
    act: async ({ world, place, shape }) => {
      await world.services.manifests.delete(place, shape.kept.digest, firstCaller);
      return true;
    },
    goOn: async ({ world, place, shape }) => {
      const found = await unless([ManifestUnknownError, NameUnknownError], () =>
        world.services.manifests.find(place, shape.kept.digest),
      );
      if (found) throw new Error("the manifest was deleted and is there");
      return [];
    },
  },
  "manifest delete of what goes": {
    ...ofAll,
    decides: "deleteRestorably",
    grantedIn: () => ["whole"],
    refusedIn: () => ["manifests gone", "blobs condemned"],
    act: ({ world, place, shape }) =>
      unless([ManifestUnknownError, NameUnknownError], async () => {
        await world.services.manifests.delete(place, shape.top.digest, firstCaller);
        return true;
      }),
    goOn: nothingStands,
  },
  "blob delete": {
    ...ofLayer,
    decides: "unlinkBlob",
    beforehand: ({ world, place, caller }) =>
      upload(world, { repository: place, digest: stray, caller }),
    act: ({ world, place }) =>
      isThere(async () => {
        await world.services.blobs.delete(place, stray, firstCaller);
        return true;
      }),
    goOn: async ({ world, place }) => {
      if (await isThere(() => world.services.blobs.find(place, stray))) {
        throw new Error("the blob was deleted and is there");
      }
      return [];
    },
  },
  /** Denied while its manifest is there. */
  "blob delete of what goes": {
    decides: "unlinkBlob",
    grantedIn: never,
    refusedIn: () => ["whole", "blobs condemned"],
    act: ({ world, place, shape }) =>
      unless([BlobUnknownError, DeniedError], async () => {
        await world.services.blobs.delete(place, shape.own, firstCaller);
        return true;
      }),
    goOn: nothingStands,
  },
  /** Granted: its referrer is there still, and stays with it. */
  "subject pushed again": {
    of: [shapes.referrer],
    decides: "acceptManifest",
    grantedIn: () => ["whole"],
    refusedIn: () => ["manifests gone", "blobs condemned"],
    act: async ({ world, place, shape, caller }) => {
      const { subject, top } = shape;
      if (subject === null) throw new Error("there is no subject");
      await push(world, { repository: place, artifact: subject, tag: tags.subject, caller });
      return await unless([ManifestUnknownError, NameUnknownError], () =>
        world.services.manifests.find(place, top.digest),
      );
    },
    goOn: async (scene, granted) => {
      const { subject, top } = scene.shape;
      return standing(scene, [...(subject === null ? [] : [subject]), ...(granted ? [top] : [])]);
    },
  },
};

/** False: refused with one of these errors. */
async function unless(
  kinds: readonly (new (...args: never[]) => Error)[],
  ask: () => Promise<unknown>,
): Promise<boolean> {
  try {
    return (await ask()) !== null;
  } catch (error) {
    if (!kinds.some((kind) => error instanceof kind)) throw error;
    return false;
  }
}
