// What clients and operators do, on model and registry at once: the model says beforehand what must be
// answered, and the registry's answer is compared with it. When the process dies meanwhile, the model
// follows exactly if the transaction that decides was carried out.
import { expect } from "bun:test";
import {
  BlobUnknownError,
  DeniedError,
  type Digest,
  DigestInvalidError,
  ManifestBlobUnknownError,
  ManifestUnknownError,
  NameUnknownError,
  type RepositoryName,
  type Tag,
} from "../../src/oci/index.ts";
import type { Index } from "../../src/registry/ports/index.ts";
import { UploadExpiry } from "../../src/registry/upload-expiry.ts";
import { bytesOf, type Content } from "./content.ts";
import { type Model, requiredBy } from "./model.ts";
import { Died, type Real, type Session } from "./real.ts";

export interface Both {
  readonly model: Model;
  readonly real: Real;
  /** Whose bytes may be there without a fact when the process dies. */
  readonly underWay: Set<Digest>;
}

/** Who does it, and where. */
export interface Where {
  readonly repository: RepositoryName;
  readonly caller: string;
}

type Answer<Value> = { readonly given: Value } | { readonly refused: Error };

interface Request<Value> {
  /** The operation of the index after which it has happened, answered or not. */
  readonly decides: keyof Index;
  readonly ask: () => Promise<Value>;
  /** What it changes. */
  readonly effect: () => void;
}

/** @throws Died. Errors of the registry's vocabulary are answers. */
export async function request<Value>(
  { real }: Both,
  wanted: Request<Value>,
): Promise<Answer<Value>> {
  real.done.clear();
  try {
    const given = await wanted.ask();
    wanted.effect();
    return { given };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (!real.isDead) return { refused: error };
    if (real.done.has(wanted.decides)) wanted.effect();
    throw new Died("", { cause: error });
  }
}

type Kind = new (...args: never[]) => Error;

export function expectAnswer(
  answer: Answer<unknown>,
  granted: boolean,
  refusal: Kind | Kind[],
): void {
  if ("given" in answer) expect(granted, "it was granted").toBe(true);
  else if (granted) throw answer.refused;
  else if (![refusal].flat().some((kind) => answer.refused instanceof kind)) throw answer.refused;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function body(bytes: Uint8Array): {
  stream: AsyncIterable<Uint8Array>;
  from: null;
  lengthBytes: number;
} {
  return { stream: once(bytes), from: null, lengthBytes: bytes.length };
}

async function begin(both: Both, { repository, caller }: Where): Promise<string> {
  const { model, real } = both;
  const id = (): string => real.begun.at(-1) ?? "";
  const answer = await request(both, {
    decides: "beginUpload",
    ask: () =>
      real.world.services.uploads.begin(repository, { caller, user: null, algorithm: "sha256" }),
    effect: () => {
      const here = model.ensure(repository);
      here.uploads.add(id());
      here.renew(caller, real.clock.nowMs);
    },
  });
  expectAnswer(answer, true, []);
  return id();
}

async function finish(both: Both, session: Session, caller: string): Promise<void> {
  const { model, real, underWay } = both;
  const { repository, id, digest } = session;
  const { uploads } = real.world.services;
  const { sizeBytes } = await statusOf(both, session);
  underWay.add(digest);
  const answer = await request(both, {
    decides: "finishUpload",
    ask: () =>
      uploads.finish(
        { repository, id, caller, user: null },
        digest,
        body(bytesOf(digest).subarray(sizeBytes)),
      ),
    effect: () => {
      const here = model.ensure(repository);
      if (real.done.has("touchUpload")) here.renew(caller, real.clock.nowMs);
      here.uploads.delete(id);
      here.layers.add(digest);
      here.lease(digest, caller, real.clock.nowMs);
      model.store(digest);
    },
  });
  expectAnswer(answer, true, []);
  await real.world.services.uploads.settle();
}

async function statusOf(both: Both, session: Session): Promise<{ sizeBytes: number }> {
  const answer = await request(both, {
    decides: "findUpload",
    ask: () => both.real.world.services.uploads.status({ ...session, caller: "", user: null }),
    effect: () => undefined,
  });
  if ("refused" in answer) throw answer.refused;
  return answer.given;
}

/** POST and PUT, whether it is there already or not. */
export async function upload(both: Both, where: Where, digest: Digest): Promise<void> {
  const id = await begin(both, where);
  await finish(both, { id, repository: where.repository, digest }, where.caller);
}

/** An upload that is left with half of its bytes, for now. */
export async function leaveUpload(both: Both, where: Where, digest: Digest): Promise<void> {
  const { repository, caller } = where;
  const { real } = both;
  const id = await begin(both, where);
  const half = bytesOf(digest).subarray(0, Math.ceil(bytesOf(digest).length / 2));
  const answer = await request(both, {
    decides: "findUpload",
    ask: () =>
      real.world.services.uploads.append({ repository, id, caller, user: null }, body(half)),
    effect: () => undefined,
  });
  expectAnswer(answer, true, []);
  real.sessions.push({ id, repository, digest });
}

/** The oldest upload that was left goes on to its end. */
export async function goOnWithUpload(both: Both, caller: string): Promise<void> {
  const { model, real } = both;
  const session = real.sessions.shift();
  if (session === undefined) return;
  if (model.at(session.repository).uploads.has(session.id)) await finish(both, session, caller);
}

/** Refused, and nothing stays. */
export async function uploadWrong(both: Both, where: Where): Promise<void> {
  const { repository, caller } = where;
  const { model, real } = both;
  const id = await begin(both, where);
  const { uploads } = real.world.services;
  const wrong = Buffer.from("not what was announced");
  const answer = await request(both, {
    decides: "endUpload",
    ask: () =>
      uploads.finish(
        { repository, id, caller, user: null },
        bytesDigestOf("something else"),
        body(wrong),
      ),
    effect: () => model.at(repository).uploads.delete(id),
  });
  expectAnswer(answer, false, DigestInvalidError);
  model.at(repository).uploads.delete(id);
  await uploads.settle();
}

function bytesDigestOf(text: string): Digest {
  const hash = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  return `sha256:${hash}` as Digest;
}

/** All uploads that are left are ended. */
export async function expireUploads(both: Both): Promise<void> {
  const { model, real } = both;
  const reports = { error: () => undefined, info: () => undefined };
  const { index, services, clock } = real.world;
  const { uploads } = services;
  const options = { ageMs: -1, intervalMs: 1, dryRun: false };
  const answer = await request(both, {
    decides: "listIdleUploads",
    ask: () => new UploadExpiry({ index, uploads, clock, reports, options }).run(),
    effect: () => {
      // After a death it is seen which ones had ended.
      if (real.isDead) return;
      for (const here of model.repositories.values()) here.uploads.clear();
    },
  });
  expectAnswer(answer, true, []);
  await uploads.settle();
}

/** A HEAD by somebody who may push. */
export async function lookAtBlob(both: Both, where: Where, digest: Digest): Promise<boolean> {
  const { model, real } = both;
  const { repository, caller } = where;
  const there = model.at(repository).holds(digest);
  const answer = await request(both, {
    decides: "findAndLeaseBlob",
    ask: () => real.world.services.blobs.findForPush(repository, digest, caller),
    effect: () => there && model.at(repository).look(digest, caller, real.clock.nowMs),
  });
  expectAnswer(answer, there, BlobUnknownError);
  return there;
}

export async function lookAtManifest(both: Both, where: Where, digest: Digest): Promise<void> {
  const { model, real } = both;
  const { repository, caller } = where;
  const there = model.at(repository).manifests.has(digest);
  const answer = await request(both, {
    decides: "findAndLeaseManifest",
    ask: () => real.world.services.manifests.findForPush(repository, digest, caller),
    effect: () => there && model.at(repository).look(digest, caller, real.clock.nowMs),
  });
  expectAnswer(answer, there, [ManifestUnknownError, NameUnknownError]);
}

export async function mount(
  both: Both,
  where: Where,
  what: { readonly digest: Digest; readonly from: RepositoryName | null },
): Promise<void> {
  const { model, real } = both;
  const { repository: to, caller } = where;
  const { digest, from } = what;
  const there =
    from === null
      ? [...model.repositories.values()].some(({ layers }) => layers.has(digest))
      : model.at(from).holds(digest);
  const answer = await request(both, {
    decides: "mountBlob",
    ask: () => real.world.services.blobs.mount({ digest, from, to, caller }),
    effect: () => {
      if (!there) return;
      model.ensure(to).layers.add(digest);
      model.ensure(to).lease(digest, caller, real.clock.nowMs);
      if (from !== null && from !== to) model.at(from).endLeases(digest, caller);
    },
  });
  expectAnswer(answer, true, []);
  if ("given" in answer) expect(answer.given !== null).toBe(there);
}

export async function put(
  both: Both,
  where: Where,
  what: { readonly content: Content; readonly tags: readonly Tag[]; readonly byDigest: boolean },
): Promise<boolean> {
  const { model, real, underWay } = both;
  const { repository, caller } = where;
  const { content, tags, byDigest } = what;
  const complete = requiredBy(content).every((digest) => model.at(repository).holds(digest));
  const [first = content.digest, ...more] = byDigest ? [content.digest, ...tags] : tags;
  underWay.add(content.digest);
  const answer = await request(both, {
    decides: "acceptManifest",
    ask: () =>
      real.world.services.manifests.put({
        repository,
        reference: first,
        tags: more as readonly Tag[],
        contentType: content.mediaType,
        bytes: content.bytes,
        algorithm: "sha256",
        caller,
      }),
    effect: () => {
      const leased = byDigest || tags.length === 0;
      const push = { content, tags, caller, leased, nowMs: real.clock.nowMs };
      if (complete) model.accept(repository, push);
    },
  });
  expectAnswer(answer, complete, ManifestBlobUnknownError);
  return complete;
}

/** Who deletes is written down, and decides nothing. */
const deleter = "somebody";

export async function deleteManifest(
  both: Both,
  repository: RepositoryName,
  digest: Digest,
): Promise<void> {
  const { model, real } = both;
  const there = model.at(repository).manifests.has(digest);
  const answer = await request(both, {
    decides: "deleteRestorably",
    ask: () => real.world.services.manifests.delete(repository, digest, deleter),
    effect: () => {
      if (!there) return;
      model.recordDeletion(repository, { digest, tag: null }, real.clock.nowMs);
      model.at(repository).removeManifest(digest);
    },
  });
  expectAnswer(answer, there, [ManifestUnknownError, NameUnknownError]);
}

export async function deleteTag(both: Both, repository: RepositoryName, tag: Tag): Promise<void> {
  const { model, real } = both;
  const digest = model.at(repository).tags.get(tag);
  const there = digest !== undefined;
  const answer = await request(both, {
    decides: "deleteTagRestorably",
    ask: () => real.world.services.manifests.delete(repository, tag, deleter),
    effect: () => {
      if (digest === undefined) return;
      model.recordDeletion(repository, { digest, tag }, real.clock.nowMs);
      model.at(repository).removeTag(tag);
    },
  });
  expectAnswer(answer, there, [ManifestUnknownError, NameUnknownError]);
}

export async function deleteBlob(
  both: Both,
  repository: RepositoryName,
  digest: Digest,
): Promise<void> {
  const { model, real } = both;
  const here = model.at(repository);
  const there = here.layers.has(digest);
  const free = there && !here.names(digest);
  const answer = await request(both, {
    decides: "unlinkBlob",
    ask: () => real.world.services.blobs.delete(repository, digest, deleter),
    effect: () => free && here.removeLayer(digest),
  });
  expectAnswer(answer, free, there ? DeniedError : BlobUnknownError);
}
