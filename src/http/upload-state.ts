// Signs the locations of uploads with `http.secret`, so that a location cannot be made up.
// The signature says nothing of how far an upload is: a client may go on with an older location.
import { timingSafeEqual } from "node:crypto";
import { BlobUploadInvalidError, type RepositoryName } from "../oci/index.ts";
import { queryValue } from "./target.ts";

export class UploadState {
  readonly #secret: string | null;

  /** @param secret null: nothing is signed and nothing is checked. */
  constructor(secret: string | null) {
    this.#secret = secret;
  }

  /** The query of an upload's location, with its "?"; "" without a secret. */
  query(repository: RepositoryName, id: string): string {
    return this.#secret === null ? "" : `?_state=${sign(this.#secret, repository, id)}`;
  }

  /** A `_state` must be right where there is one. @throws BlobUploadInvalidError */
  check(query: string, repository: RepositoryName, id: string): void {
    if (this.#secret === null) return;
    const given = queryValue(query, "_state");
    if (given === null) return;
    const expected = Buffer.from(sign(this.#secret, repository, id));
    const actual = Buffer.from(given);
    if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) {
      throw new BlobUploadInvalidError(
        "the _state of this upload location is not of this registry",
      );
    }
  }
}

function sign(secret: string, repository: RepositoryName, id: string): string {
  return new Bun.CryptoHasher("sha256", secret).update(`${repository}\n${id}`).digest("base64url");
}
