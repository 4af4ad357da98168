// What outlives a restart: the certificate, and the key of the account at the CA. The directory is the one
// that the classic registry's `cachefile` names, and its files are Go's autocert's, so a certificate that is
// there is used at once, and going back is possible too:
//
//   <first host>           the key and the certificate for all hosts
//   acme_account+key       the account's key
//   plimsoll_directory     of which CA the certificate is; autocert ignores it
//
// Whole or not at all, durable, and for the owner alone.
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const accountFile = "acme_account+key";
const directoryFile = "plimsoll_directory";

const fileBytesMax = 1024 * 1024;

export interface Kept {
  /** Key and certificate, as in the file. */
  readonly text: string;
  /** Null: not said. */
  readonly directoryUrl: string | null;
}

export class CertificateCache {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws Error when nothing could be kept there: each restart would ask the CA again. */
  async prepare(): Promise<void> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await access(this.#directory, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`http.tls.letsencrypt.cachefile: the directory cannot be used: ${reason}`, {
        cause,
      });
    }
  }

  /** Null: there is none. */
  async certificate(host: string): Promise<Kept | null> {
    const text = await this.#read(host);
    if (text === null) return null;
    return { text, directoryUrl: (await this.#read(directoryFile))?.trim() ?? null };
  }

  async keepCertificate(host: string, { text, directoryUrl }: Kept): Promise<void> {
    await this.#write(host, text);
    await this.#write(directoryFile, `${directoryUrl ?? ""}\n`);
  }

  /** Null: there is none. */
  async accountKey(): Promise<string | null> {
    return await this.#read(accountFile);
  }

  async keepAccountKey(key: string): Promise<void> {
    await this.#write(accountFile, key);
  }

  async #read(name: string): Promise<string | null> {
    try {
      const text = await readFile(join(this.#directory, name), "utf8");
      return text === "" || text.length > fileBytesMax ? null : text;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
      throw error;
    }
  }

  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#directory, name);
    const written = `${path}.${randomUUID()}.new`;
    try {
      const file = await open(written, "wx", 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(written, path);
    } catch (error) {
      await rm(written, { force: true });
      throw error;
    }
    const directory = await open(this.#directory, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}
