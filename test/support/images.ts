// Makes container images for tests and benches: incompressible layers that depend only on their
// seed, in memory or as an OCI layout on disk. The same seed gives the same digests on every machine.
import { createCipheriv, createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

export const mediaTypes = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
} as const;

export interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface Layer extends Blob {
  /** Of the tar inside the gzip: what stays the same when a client compresses it again. */
  readonly diffId: string;
}

export interface Image {
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layers: readonly Layer[];
}

export interface ImageIndex {
  readonly manifest: Blob;
  readonly images: readonly Image[];
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function blobOf(mediaType: string, bytes: Uint8Array): Blob {
  return { mediaType, digest: digestOf(bytes), bytes };
}

/** Bytes that no compressor makes smaller. */
export function randomBytesOf(seed: string, length: number): Uint8Array {
  const key = createHash("sha256").update(seed).digest();
  const cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  return cipher.update(Buffer.alloc(length));
}

/** A tar of one file, in a gzip that only stores: what clients then push unchanged. */
export function makeLayer(seed: string, sizeBytes: number): Layer {
  const content = randomBytesOf(seed, sizeBytes);
  const name = `data/${createHash("sha256").update(seed).digest("hex").slice(0, 16)}`;
  const padding = Buffer.alloc((512 - (sizeBytes % 512)) % 512);
  const tar = Buffer.concat([tarHeader(name, sizeBytes), content, padding, Buffer.alloc(1024)]);
  const blob = blobOf(mediaTypes.layer, gzipSync(tar, { level: 0 }));
  return { ...blob, diffId: digestOf(tar) };
}

function tarHeader(name: string, sizeBytes: number): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, "0");
  header.write(name, 0);
  header.write(octal(0o644, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(sizeBytes, 11), 124);
  header.write(octal(0, 11), 136);
  header.write(" ".repeat(8), 148);
  header.write("0", 156);
  header.write("ustar\u000000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\u0000 `, 148);
  return header;
}

export interface ImageOptions {
  readonly architecture?: string;
  /** Makes images of the same layers differ. */
  readonly label?: string;
}

export function imageOf(layers: readonly Layer[], options: ImageOptions = {}): Image {
  const config = blobOf(
    mediaTypes.config,
    json({
      architecture: options.architecture ?? "amd64",
      os: "linux",
      config: options.label === undefined ? {} : { Labels: { label: options.label } },
      rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
      history: layers.map((layer) => ({ created_by: layer.diffId })),
    }),
  );
  const manifest = blobOf(
    mediaTypes.manifest,
    json({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: descriptorOf(config),
      layers: layers.map((layer) => descriptorOf(layer)),
    }),
  );
  return { manifest, config, layers };
}

export function makeImage(seed: string, layerSizes: readonly number[]): Image {
  const layers = layerSizes.map((size, n) => makeLayer(`${seed}/${n}`, size));
  return imageOf(layers, { label: seed });
}

/** One image for each architecture, and the index over them. */
export function makeIndex(
  seed: string,
  images: Readonly<Record<string, readonly Layer[]>>,
): ImageIndex {
  const entries = Object.entries(images).map(([architecture, layers]) => ({
    architecture,
    image: imageOf(layers, { architecture, label: seed }),
  }));
  const manifests = entries.map(({ architecture, image }) => ({
    ...descriptorOf(image.manifest),
    platform: { architecture, os: "linux" },
  }));
  const body = { schemaVersion: 2, mediaType: mediaTypes.index, manifests };
  return {
    manifest: blobOf(mediaTypes.index, json(body)),
    images: entries.map((entry) => entry.image),
  };
}

/** Every digest that a store must hold for this image, its manifest included. */
export function digestsOf(image: Image): string[] {
  return [image.manifest, image.config, ...image.layers].map((blob) => blob.digest);
}

/** Writes an OCI layout that clients read as `oci:<directory>:<tag>`. */
export async function writeLayout(
  directory: string,
  contents: Readonly<Record<string, Image | ImageIndex>>,
): Promise<void> {
  await mkdir(join(directory, "blobs/sha256"), { recursive: true });
  const manifests: unknown[] = [];
  for (const [tag, content] of Object.entries(contents)) {
    const images = "images" in content ? content.images : [content];
    const blobs = images.flatMap((image) => [image.manifest, image.config, ...image.layers]);
    for (const blob of [content.manifest, ...blobs]) {
      const path = join(directory, "blobs", blob.digest.replace(":", "/"));
      await writeFile(path, blob.bytes);
    }
    const annotations = { "org.opencontainers.image.ref.name": tag };
    manifests.push({ ...descriptorOf(content.manifest), annotations });
  }
  await writeFile(join(directory, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  await writeFile(join(directory, "index.json"), json({ schemaVersion: 2, manifests }));
}

function descriptorOf(blob: Blob): { mediaType: string; digest: string; size: number } {
  return { mediaType: blob.mediaType, digest: blob.digest, size: blob.bytes.length };
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
