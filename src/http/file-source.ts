// What is read from files and read again when they change: certificates with their keys, and the CAs of
// clients. What cannot be used is refused with a line in the log, and what was read before stays: a file
// that is half written, or a certificate whose key is not there yet, must not end the service.
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Clock } from "../registry/ports/clock.ts";
import { readWatched, WatchedFiles } from "../watched-files.ts";
import type { Logger } from "./ports.ts";
import type { CertificateSource, ClientCaSource, Source, TlsCertificate } from "./tls.ts";

/** A change is seen at the first look, and taken at the next one that sees no other. */
const lookEveryMs = 2_000;
const fileBytesMax = 1024 * 1024;

export interface WatchParts {
  readonly clock: Clock;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
}

interface Reading<T> extends WatchParts {
  readonly paths: readonly string[];
  /** @throws Error naming the key of the configuration and the file. */
  readonly read: () => T;
  /** Says in the log what is read. */
  readonly tell: (value: T) => void;
}

class FileSource<T> implements Source<T> {
  readonly #reading: Reading<T>;
  readonly #watched: WatchedFiles;
  readonly #listeners = new Set<() => void>();
  readonly #timer: Timer;
  #value: T;
  #shown: string;
  #isSettling = false;

  /** @throws Error of `read`: a server must not start with what it cannot use. */
  constructor(reading: Reading<T>) {
    this.#reading = reading;
    this.#watched = new WatchedFiles(reading.paths, reading.clock);
    this.#watched.haveChanged();
    this.#value = reading.read();
    this.#shown = JSON.stringify(this.#value);
    reading.tell(this.#value);
    this.#timer = setInterval(() => {
      this.look();
    }, lookEveryMs);
    this.#timer.unref();
  }

  current(): T {
    return this.#value;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  look(): void {
    if (this.#watched.haveChanged()) {
      this.#isSettling = true;
    } else if (this.#isSettling) {
      this.#isSettling = false;
      this.readAgain();
    }
  }

  /** At once, whether or not they have changed. */
  readAgain(): void {
    const { read, tell, logger } = this.#reading;
    let value: T;
    try {
      value = read();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.error(`${reason}; what was read before stays`);
      return;
    }
    const shown = JSON.stringify(value);
    if (shown === this.#shown) return;
    this.#value = value;
    this.#shown = shown;
    tell(value);
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }
}

/** What is read from files can also be asked to look again, and be closed. */
export interface Watching {
  /** One look, as the timer does. */
  look(): void;
  /** At once, whether or not they have changed. */
  readAgain(): void;
  close(): void;
}

export interface CertificatePaths {
  readonly certificate: string;
  readonly key: string;
}

/** @throws Error naming the key of the configuration and the file that cannot be used. */
export function certificateFiles(
  paths: CertificatePaths,
  parts: WatchParts,
): CertificateSource & Watching {
  return new FileSource<TlsCertificate>({
    ...parts,
    paths: [paths.certificate, paths.key],
    read: () => readPair(paths),
    tell: ({ certificate }) => {
      tellCertificate(certificate, parts);
    },
  });
}

/** @throws Error naming the file that cannot be used. */
export function clientCaFiles(
  paths: readonly string[],
  parts: WatchParts,
): ClientCaSource & Watching {
  return new FileSource<readonly string[]>({
    ...parts,
    paths,
    read: () =>
      paths.flatMap((path) => readFrom("clientcas", path, (text) => checkedCertificates(text))),
    tell: (found) => {
      parts.logger.info(`http.tls.clientcas: clients may be certified by ${found.length} CAs`);
    },
  });
}

function readPair(paths: CertificatePaths): TlsCertificate {
  const certificate = readFrom("certificate", paths.certificate, (text) => {
    checkedCertificates(text);
    return text;
  });
  const key = readFrom("key", paths.key, (text) => {
    if (text.includes("ENCRYPTED")) throw new Error("the key is protected by a passphrase");
    const parsed = createPrivateKey(text);
    if (!new X509Certificate(certificate).checkPrivateKey(parsed)) {
      throw new Error(`it is not the key of the certificate in ${paths.certificate}`);
    }
    return text;
  });
  return { certificate, key };
}

function readFrom<T>(key: string, path: string, use: (text: string) => T): T {
  try {
    return use(readWatched(path, fileBytesMax));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`http.tls.${key}: ${path} cannot be used: ${reason}`, { cause });
  }
}

function checkedCertificates(text: string): readonly string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error("it holds no PEM certificate");
  // The runtime takes no certificate where one is cut off, and would say so only when it is to be served.
  const begun = text.split("-----BEGIN CERTIFICATE-----").length - 1;
  if (begun !== blocks.length) throw new Error("one of its PEM certificates is not whole");
  for (const block of blocks) void new X509Certificate(block);
  return blocks;
}

function tellCertificate(pem: string, { clock, logger }: WatchParts): void {
  const { subject, subjectAltName, serialNumber, validFrom, validTo } = new X509Certificate(pem);
  const names = (subjectAltName ?? subject).replaceAll("\n", ", ").slice(0, 200);
  const now = clock.now();
  const isValid = Date.parse(validFrom) <= now && now <= Date.parse(validTo);
  const times = `from ${validFrom} until ${validTo}`;
  const text = `http.tls: the certificate is for ${names}, serial ${serialNumber}, valid ${times}`;
  if (isValid) logger.info(text);
  else logger.warn(`${text}: not now, and clients will refuse it`);
}
