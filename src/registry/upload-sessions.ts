// What this process remembers of open upload sessions beside their bytes: the state of the digest, so
// that finishing need not read everything again, and who writes now (INV-1: one writer a session).
// A session that is here is open: only this process ends one, and forgets it here first. One that is not
// here may be open too: the index knows, and it is continued from its stored bytes.
import {
  BlobUploadUnknownError,
  type Digest,
  type DigestAlgorithm,
  DigestHasher,
  type RepositoryName,
} from "../oci/index.ts";
import { KeyedLocks } from "./keyed-locks.ts";
import type { UploadFact } from "./ports/index.ts";
import type { Storage } from "./ports/storage.ts";

/** Digest states kept at once, some hundred bytes each; beyond, the oldest is computed again. */
const sessionsMax = 4096;

export interface Session {
  readonly fact: UploadFact;
  readonly algorithm: DigestAlgorithm;
  hasher: DigestHasher;
  /** How many bytes the hasher has seen. */
  hashedBytes: number;
  /** When the index last heard that this upload receives bytes. */
  touchedAtMs: number;
}

export class UploadSessions {
  readonly locks = new KeyedLocks<string>();
  readonly #sessions = new Map<string, Session>();
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  open(fact: UploadFact, algorithm: DigestAlgorithm, nowMs: number): Session {
    const hasher = new DigestHasher(algorithm);
    const session = { fact, algorithm, hasher, hashedBytes: 0, touchedAtMs: nowMs };
    this.#sessions.set(fact.id, session);
    if (this.#sessions.size > sessionsMax) {
      const [oldest] = this.#sessions.keys();
      if (oldest !== undefined) this.#sessions.delete(oldest);
    }
    return session;
  }

  find(id: string): UploadFact | null {
    return this.#sessions.get(id)?.fact ?? null;
  }

  /** The session with a digest state of exactly the stored bytes. */
  async resume(
    fact: UploadFact,
    stored: { readonly path: string; readonly sizeBytes: number },
  ): Promise<Session> {
    const session = this.#sessions.get(fact.id) ?? this.open(fact, "sha256", 0);
    if (session.hashedBytes !== stored.sizeBytes) {
      session.hasher = await this.#hashStored(stored, session.algorithm);
      session.hashedBytes = stored.sizeBytes;
    }
    return session;
  }

  /** What was hashed is not what is stored any more. */
  forgetDigest(id: string): void {
    const session = this.#sessions.get(id);
    if (session !== undefined) session.hashedBytes = -1;
  }

  close(id: string): void {
    this.#sessions.delete(id);
  }

  /** The digest of what is stored, by the wanted algorithm. Ends the session's own digest state. */
  async digest(
    session: Session,
    stored: { readonly path: string; readonly sizeBytes: number },
    algorithm: DigestAlgorithm,
  ): Promise<Digest> {
    const known = session.algorithm === algorithm && session.hashedBytes === stored.sizeBytes;
    const hasher = known ? session.hasher : await this.#hashStored(stored, algorithm);
    session.hashedBytes = -1;
    return hasher.digest();
  }

  async #hashStored(
    stored: { readonly path: string; readonly sizeBytes: number },
    algorithm: DigestAlgorithm,
  ): Promise<DigestHasher> {
    const hasher = new DigestHasher(algorithm);
    if (stored.sizeBytes === 0) return hasher;
    const body = this.#storage.read(stored.path, { start: 0, end: stored.sizeBytes });
    const stream = body instanceof Blob ? body.stream() : body;
    for await (const chunk of stream) hasher.update(chunk);
    return hasher;
  }
}

/** The same words for one that is not there and for somebody else's. */
export function unknownUpload(repository: RepositoryName, id: string): BlobUploadUnknownError {
  return new BlobUploadUnknownError(
    `${repository} has no upload ${id.slice(0, 64)}; it was finished, cancelled or has expired: begin a new one`,
  );
}
