// Builds trees in the classic layout under a temporary directory, bent in whatever way a test wants.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

import { type Digest, digestOf, parseRepositoryName, parseTag } from "../../src/oci/index.ts";
import {
  blobDataPath,
  layerLinkPath,
  revisionLinkPath,
  tagCurrentLinkPath,
  tagIndexLinkPath,
} from "../../src/storage/layout.ts";

export interface TestImage {
  readonly digest: Digest;
  readonly config: Digest;
  readonly layer: Digest;
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** Linux' PATH_MAX without its NUL. */
const pathBytesMax = 4095;

export class Tree {
  readonly root: string;
  readonly indexPath: string;

  constructor(root = mkdtempSync(join(tmpdir(), "takeover-"))) {
    this.root = root;
    this.indexPath = join(root, "plimsoll", "index.db");
  }

  remove(): void {
    // Not rmSync, which cannot remove what lies too deep for its paths.
    execFileSync("rm", ["-rf", this.root]);
  }

  put(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(this.root + path), { recursive: true });
    writeFileSync(this.root + path, content);
  }

  delete(path: string): void {
    rmSync(this.root + path, { recursive: true });
  }

  move(from: string, to: string): void {
    mkdirSync(dirname(this.root + to), { recursive: true });
    renameSync(this.root + from, this.root + to);
  }

  /** Moves a directory so far down that no system call takes its path; returns the first such path. */
  moveDeep(from: string): string {
    const name = "d".repeat(200);
    // From the inside out, so that each step has a short path.
    let at = this.root + from;
    let path = dirname(from);
    for (let n = 1; this.root.length + path.length <= pathBytesMax; n++) {
      const next = `${this.root}/around-${n}`;
      mkdirSync(next);
      renameSync(at, `${next}/${n === 1 ? basename(from) : name}`);
      at = next;
      path += `/${name}`;
    }
    renameSync(at, `${this.root}${dirname(from)}/${name}`);
    return path;
  }

  blob(content: string | Uint8Array): Digest {
    const bytes = Buffer.from(content);
    const digest = digestOf(bytes);
    this.put(blobDataPath(digest), bytes);
    return digest;
  }

  layer(repository: string, content: string): Digest {
    const digest = this.blob(content);
    this.put(layerLinkPath(parseRepositoryName(repository), digest), digest);
    return digest;
  }

  /** Any JSON as a manifest of the repository. */
  manifest(repository: string, body: unknown): Digest {
    const digest = this.blob(JSON.stringify(body));
    this.put(revisionLinkPath(parseRepositoryName(repository), digest), digest);
    return digest;
  }

  tag(repository: string, tag: string, digest: Digest): void {
    const name = parseRepositoryName(repository);
    this.put(tagCurrentLinkPath(name, parseTag(tag)), digest);
    this.put(tagIndexLinkPath(name, parseTag(tag), digest), digest);
  }

  /** An image of a config and one layer, all of it following from its name. */
  image(repository: string, name: string, tag: string | null = name): TestImage {
    const config = this.layer(repository, `config of ${repository} ${name}`);
    const layer = this.layer(repository, `layer of ${repository} ${name}`);
    const descriptor = (digest: Digest, role: string) => ({
      mediaType: `application/vnd.example.${role}`,
      digest,
      size: `${role} of ${repository} ${name}`.length,
    });
    const digest = this.manifest(repository, {
      schemaVersion: 2,
      mediaType: manifestType,
      config: descriptor(config, "config"),
      layers: [descriptor(layer, "layer")],
    });
    if (tag !== null) this.tag(repository, tag, digest);
    return { digest, config, layer };
  }
}
