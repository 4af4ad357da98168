// Upload sessions: bytes come in, are hashed and stored as they come, and end as a blob or not at all.
// Keeps INV-1: bytes are complete, digest-checked and durable at their final path before the index knows
// them; one writer a session. Design: docs/design/upload-sessions.md.
import {
  algorithmOf,
  BlobTooLargeError,
  BlobUploadUnknownError,
  type Digest,
  type DigestAlgorithm,
  DigestInvalidError,
  DiskFullError,
  RangeInvalidError,
  type RepositoryName,
  SizeInvalidError,
  TooManyRequestsError,
} from "../oci/index.ts";
import {
  blobDataPath,
  repositoryDirectory,
  uploadDataPath,
  uploadDirectory,
  uploadStartedAtPath,
} from "../storage/layout.ts";
import { BackgroundWork } from "./background-work.ts";
import { quotaError, quotaOver } from "./bounds.ts";
import { isFull } from "./in-halves.ts";
import { type Admission, type LoadLine, unboundedLoad } from "./load-line.ts";
import type { BlobFact, Caller, UploadFact } from "./ports/index.ts";
import type { SmallFileChange } from "./ports/storage.ts";
import type { UploadAsked, UploadBody, Uploader, Uploads } from "./registry.ts";
import { leaseTerms, type ServiceParts } from "./services.ts";
import { type Session, unknownUpload, UploadSessions } from "./upload-sessions.ts";

/** How often an upload that receives bytes says so to the index, as a part of the grace (INV-5). */
const touchesPerGrace = 4;

/** Open sessions that a stop writes the start of; of more, the oldest, which are purged first. */
const openUploadsMax = 10_000;

export class UploadService implements Uploads {
  readonly #parts: ServiceParts;
  readonly #sessions: UploadSessions;
  readonly #cleaning: BackgroundWork;
  readonly #loadLine: LoadLine;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#loadLine = parts.loadLine ?? unboundedLoad;
    this.#sessions = new UploadSessions(parts.storage);
    this.#cleaning = new BackgroundWork(parts.reports);
  }

  async begin(
    repository: RepositoryName,
    options: Uploader & { readonly algorithm: DigestAlgorithm },
  ): Promise<UploadFact> {
    (await this.#loadLine.admit(0)).end();
    const terms = leaseTerms(this.#parts, options.caller);
    const { user: owner } = options;
    const upload = { id: crypto.randomUUID(), repository, owner, startedAtMs: terms.nowMs };
    // Nothing in the tree yet: the first bytes bring the session's directory with them.
    const sessionsMax = this.#parts.content?.bounds.sessionsMax ?? null;
    if (!(await this.#parts.index.beginUpload({ ...upload, terms, sessionsMax }))) {
      throw tooManySessions(repository, sessionsMax ?? 0);
    }
    this.#sessions.open(upload, options.algorithm, terms.nowMs);
    return upload;
  }

  status(upload: UploadAsked): Promise<{ readonly sizeBytes: number }> {
    return this.#run(upload, async ({ repository, id }) => {
      return { sizeBytes: await this.#storedBytes(repository, id) };
    });
  }

  append(upload: UploadAsked, body: UploadBody): Promise<{ readonly sizeBytes: number }> {
    return this.#run(upload, async (fact) => {
      await this.#checkQuotas(fact, body, null);
      const { sizeBytes } = await this.#receive(fact, upload.caller, body);
      return { sizeBytes };
    });
  }

  finish(upload: UploadAsked, digest: Digest, body: UploadBody | null): Promise<BlobFact> {
    const { repository, id, caller } = upload;
    return this.#run(upload, async (fact) => {
      await this.#checkQuotas(fact, body, digest);
      const { session, sizeBytes } = await this.#receiveLast(fact, caller, body);
      const stored = { path: uploadDataPath(repository, id), sizeBytes };
      const { digesting = (work) => work() } = this.#parts;
      const algorithm = algorithmOf(digest);
      const actual = await digesting(() => this.#sessions.digest(session, stored, algorithm));
      if (actual !== digest) {
        await this.#end(repository, id);
        throw new DigestInvalidError(
          `the ${sizeBytes} bytes that arrived have the digest ${actual}, not ${digest}; nothing was kept`,
          { detail: { digest, actual } },
        );
      }
      // Before the index: should its answer not come, only the index knows whether the upload is over.
      this.#sessions.close(id);
      await this.#publish(upload, digest, sizeBytes);
      // The directory above stays for the next one, until the repository goes.
      this.#removeFiles(repository, id);
      return { digest, sizeBytes };
    });
  }

  cancel(upload: UploadAsked): Promise<void> {
    return this.#run(upload, ({ repository, id }) => this.#end(repository, id));
  }

  /** Cancels an upload, whosesoever it is; one that is receiving bytes when these have arrived, which is not waited for. */
  async end(repository: RepositoryName, id: string): Promise<void> {
    const cancel = (): Promise<void> =>
      this.#sessions.locks.run(id, async () => {
        await this.#require(repository, id);
        await this.#end(repository, id);
      });
    if (!this.#sessions.locks.isHeld(id)) {
      await cancel();
      return;
    }
    this.#cleaning.add(`ending upload ${id}`, async () => {
      try {
        await cancel();
      } catch (error) {
        // Its client was faster.
        if (!(error instanceof BlobUploadUnknownError)) throw error;
      }
    });
  }

  /** Ends an upload that nobody has touched since then. False: somebody has meanwhile. */
  expire(upload: UploadFact, idleSinceMs: number): Promise<boolean> {
    const { repository, id } = upload;
    return this.#sessions.locks.run(id, async () => {
      this.#sessions.close(id);
      if (!(await this.#parts.index.expireUpload(id, idleSinceMs))) return false;
      await this.#end(repository, id);
      return true;
    });
  }

  /**
   * Before a clean stop: files of finished uploads are gone, and those that go on say since when, if
   * they do not yet. Nobody reads that while we run, but a classic registry that comes back to this tree
   * purges by it.
   */
  async settle(): Promise<void> {
    const { index, storage, clock, reports } = this.#parts;
    await this.#cleaning.settle();
    const open = await index.listIdleUploads(clock.now() + 1, openUploadsMax);
    const changes: SmallFileChange[] = [];
    for (const { repository, id, startedAtMs } of open) {
      if ((await storage.stat(uploadDataPath(repository, id))) === null) continue;
      if ((await storage.stat(uploadStartedAtPath(repository, id))) !== null) continue;
      const content = new Date(startedAtMs).toISOString();
      changes.push({ path: uploadStartedAtPath(repository, id), content });
    }
    try {
      if (changes.length > 0) await storage.applyChanges(changes);
    } catch (error) {
      // Nor must a full disk spoil a stop. They go on all the same, and the next stop says since when.
      if (!isFull(error)) reports.error("could not write down when an upload began", error);
    }
  }

  /** One request after the other; whose the session is not waits for nobody, as if it were not there. */
  async #run<T>(asked: UploadAsked, act: (fact: UploadFact) => Promise<T>): Promise<T> {
    const { id } = asked;
    const { locks } = this.#sessions;
    if (locks.isHeld(id)) await this.#requireFor(asked);
    return await locks.run(id, async () => act(await this.#requireFor(asked)));
  }

  /** A session without an owner is everybody's who may push to the repository. */
  async #requireFor({ repository, id, user }: UploadAsked): Promise<UploadFact> {
    const upload = await this.#require(repository, id);
    if (upload.owner === null || upload.owner === user) return upload;
    throw unknownUpload(repository, id);
  }

  async #require(repository: RepositoryName, id: string): Promise<UploadFact> {
    const upload = this.#sessions.find(id) ?? (await this.#parts.index.findUpload(repository, id));
    if (upload !== null && upload.repository === repository) return upload;
    throw unknownUpload(repository, id);
  }

  /**
   * Before bytes come whose number is known. What is in the repository already may always be sent again.
   * @throws DeniedError
   */
  async #checkQuotas(
    upload: UploadFact,
    body: UploadBody | null,
    digest: Digest | null,
  ): Promise<void> {
    const { index, bounds } = this.#parts;
    const { repository, id } = upload;
    const quotas = bounds?.of(repository).quotas ?? [];
    const lengthBytes = body?.lengthBytes ?? 0;
    if (quotas.length === 0 || lengthBytes === 0) return;
    if (digest !== null && (await index.findBlob(repository, digest)) !== null) return;
    const usedBytes = (await index.repositoryUsage(repository))?.logicalBytes ?? 0;
    const moreBytes = (await this.#storedBytes(repository, id)) + lengthBytes;
    const over = quotaOver(quotas, usedBytes, moreBytes);
    if (over !== null) throw quotaError(repository, over);
  }

  async #storedBytes(repository: RepositoryName, id: string): Promise<number> {
    const stat = await this.#parts.storage.stat(uploadDataPath(repository, id));
    return stat?.sizeBytes ?? 0;
  }

  async #receiveLast(
    upload: UploadFact,
    caller: Caller,
    body: UploadBody | null,
  ): Promise<{ session: Session; sizeBytes: number }> {
    if (body !== null) return await this.#receive(upload, caller, body);
    const path = uploadDataPath(upload.repository, upload.id);
    const sizeBytes = await this.#storedBytes(upload.repository, upload.id);
    if (sizeBytes > 0) {
      const session = await this.#sessions.resume(upload, { path, sizeBytes });
      return { session, sizeBytes };
    }
    // An empty blob: its file is still to be made.
    return await this.#receive(upload, caller, {
      stream: nothing(),
      from: null,
      lengthBytes: 0,
    });
  }

  /** Takes in a body if there is room for it. @throws DiskFullError before its first byte is read. */
  async #receive(
    upload: UploadFact,
    caller: Caller,
    body: UploadBody,
  ): Promise<{ session: Session; sizeBytes: number }> {
    const { lengthBytes } = body;
    const loadLine = lengthBytes === 0 ? unboundedLoad : this.#loadLine;
    const admission = await loadLine.admit(lengthBytes ?? 0);
    try {
      return await this.#receiveAdmitted(upload, body, { caller, admission });
    } finally {
      admission.end();
    }
  }

  /** When it fails half-way for its sender's sake, what arrived stays. */
  async #receiveAdmitted(
    upload: UploadFact,
    body: UploadBody,
    { caller, admission }: { readonly caller: Caller; readonly admission: Admission },
  ): Promise<{ session: Session; sizeBytes: number }> {
    const { repository, id } = upload;
    const path = uploadDataPath(repository, id);
    const before = await this.#storedBytes(repository, id);
    this.#checkSize(before + (body.lengthBytes ?? 0));
    if (body.from !== null && body.from !== before) {
      throw new RangeInvalidError(
        `the upload holds ${before} bytes, the part begins at ${body.from}; go on at ${before}`,
        { size: before },
      );
    }
    const session = await this.#sessions.resume(upload, { path, sizeBytes: before });
    const writer = await this.#parts.storage.openUpload(path);
    try {
      try {
        for await (const chunk of body.stream) {
          const received = writer.sizeBytes - before + chunk.byteLength;
          if (body.lengthBytes !== null && received > body.lengthBytes) break;
          this.#checkSize(before + received);
          if (body.lengthBytes === null) await admission.checkUnannounced(chunk.byteLength);
          // Hashed here while another thread writes it.
          const appended = writer.append(chunk);
          session.hasher.update(chunk);
          session.hashedBytes += chunk.byteLength;
          await appended;
          admission.received(chunk.byteLength, writer.waitingBytes);
          await this.#touch(upload, session, caller);
        }
      } finally {
        await writer.close();
      }
    } catch (error) {
      this.#sessions.forgetDigest(id);
      // Bytes that nobody was told of must not be what keeps a full disk full.
      const isTooMuch = error instanceof DiskFullError || error instanceof BlobTooLargeError;
      if (isFull(error) || isTooMuch) await this.#takeBack(upload, before);
      throw error;
    }
    const received = writer.sizeBytes - before;
    if (body.lengthBytes !== null && received !== body.lengthBytes) {
      await this.#takeBack(upload, before);
      throw new SizeInvalidError(
        `${body.lengthBytes} bytes were announced, another number arrived; the upload stays at ${before} bytes`,
        { detail: { announced: body.lengthBytes, received } },
      );
    }
    return { session, sizeBytes: writer.sizeBytes };
  }

  /** Of a blob, as soon as it is known to become so large. @throws BlobTooLargeError */
  #checkSize(sizeBytes: number): void {
    const most = this.#parts.content?.bounds.blobBytesMax ?? null;
    if (most === null || sizeBytes <= most) return;
    throw new BlobTooLargeError(
      `a blob of ${sizeBytes} bytes or more is not accepted: http.limits.blobsize allows ${most}; make the layer smaller, or have the limit raised`,
      { detail: { limit: most } },
    );
  }

  async #takeBack(upload: UploadFact, sizeBytes: number): Promise<void> {
    this.#sessions.forgetDigest(upload.id);
    await this.#parts.storage.truncate(uploadDataPath(upload.repository, upload.id), sizeBytes);
  }

  /** An upload that receives bytes keeps its caller's leases in the repository alive (INV-5). */
  async #touch(upload: UploadFact, session: Session, caller: Caller): Promise<void> {
    const terms = leaseTerms(this.#parts, caller);
    if (terms.nowMs - session.touchedAtMs < terms.graceMs / touchesPerGrace) return;
    session.touchedAtMs = terms.nowMs;
    await this.#parts.index.touchUpload({ id: upload.id, repository: upload.repository, terms });
  }

  /** Bytes before facts (INV-1), under the digest's exclusion, so that no removal comes between (INV-3). */
  async #publish(upload: UploadAsked, digest: Digest, sizeBytes: number): Promise<void> {
    const { index, storage, locks, followTree } = this.#parts;
    const { repository, id, caller } = upload;
    await locks.run(digest, async () => {
      const known = await index.findBlobAnywhere(digest);
      const there = await storage.stat(blobDataPath(digest));
      if (known === null || there?.sizeBytes !== sizeBytes) {
        await storage.publish(uploadDataPath(repository, id), blobDataPath(digest));
      }
      const terms = leaseTerms(this.#parts, caller);
      await index.finishUpload({ id, repository, digest, sizeBytes, terms });
    });
    followTree();
  }

  async #end(repository: RepositoryName, id: string): Promise<void> {
    this.#sessions.close(id);
    await this.#parts.index.endUpload(id);
    this.#removeFiles(repository, id, { parentToo: true });
  }

  /** The session is over; its files go when there is time. What a kill leaves, the comparison finds. */
  #removeFiles(
    repository: RepositoryName,
    id: string,
    { parentToo }: { readonly parentToo: boolean } = { parentToo: false },
  ): void {
    const { storage } = this.#parts;
    const directory = uploadDirectory(repository, id);
    this.#cleaning.add(`removing the files of upload ${id}`, async () => {
      await storage.removeAll(directory);
      if (!parentToo) return;
      const parent = `${repositoryDirectory(repository)}/_uploads`;
      await storage.removeEmptyDirectories(parent, repositoryDirectory(repository));
    });
  }
}

/** When one ends is not known; sessions that nobody uses any more expire. */
const sessionRetrySeconds = 60;

function tooManySessions(repository: RepositoryName, most: number): TooManyRequestsError {
  return new TooManyRequestsError(
    `${repository} has ${most} open uploads, as many as http.limits.sessions allows; end them (DELETE), or let them expire (storage.maintenance.uploadpurging.age)`,
    { limit: "sessions", retryAfterSeconds: sessionRetrySeconds },
  );
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
