// Manifests, from right to hostile. A right one names only what was pushed to its repository.
import { createHash } from "node:crypto";
import type { Chance } from "./chance.ts";
import { nastyDigests, nastyTypes } from "./nasty.ts";

export const types = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  schema1: "application/vnd.docker.distribution.manifest.v1+prettyjws",
} as const;

export function digestOf(bytes: Uint8Array, algorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

export interface Known {
  /** Blobs that the repository has. */
  readonly blobs: readonly string[];
  /** Manifests that it has. */
  readonly manifests: readonly string[];
}

export interface Pushable {
  readonly type: string;
  readonly bytes: Uint8Array;
}

const descriptor = (mediaType: string, digest: string, size = 5): object => {
  return { mediaType, digest, size };
};

export function rightImage(chance: Chance, { blobs, manifests }: Known): Pushable {
  const layers = Array.from({ length: chance.below(4) }, () =>
    descriptor(types.layer, chance.pick(blobs)),
  );
  const isDocker = chance.percent(20);
  const subject = manifests.length > 0 && chance.percent(25) ? chance.pick(manifests) : null;
  const type = isDocker ? types.dockerManifest : types.manifest;
  const value = {
    schemaVersion: 2,
    mediaType: type,
    config: descriptor(types.config, chance.pick(blobs)),
    layers,
    ...(subject === null ? {} : { subject: descriptor(types.manifest, subject) }),
    ...(chance.percent(30) ? { artifactType: chance.pick(["a/b", "application/x", "é"]) } : {}),
    annotations: { n: String(chance.below(1_000_000)) },
  };
  return { type, bytes: Buffer.from(JSON.stringify(value)) };
}

export function rightIndex(chance: Chance, { manifests }: Known): Pushable {
  const type = chance.percent(20) ? types.dockerList : types.index;
  const value = {
    schemaVersion: 2,
    mediaType: type,
    manifests: Array.from({ length: Math.min(manifests.length, chance.below(4)) }, () => ({
      ...descriptor(types.manifest, chance.pick(manifests)),
      platform: { os: "linux", architecture: chance.pick(["amd64", "arm64"]) },
    })),
    annotations: { n: String(chance.below(1_000_000)) },
  };
  return { type, bytes: Buffer.from(JSON.stringify(value)) };
}

const nastyValues: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53 + 2,
  1e308,
  "",
  "x",
  "\0",
  "\ud800",
  "a\r\nX-Injected: 1",
  "é".repeat(200),
  "x".repeat(70_000),
  [],
  {},
  [null],
  [[]],
  { digest: null },
  { digest: 5, size: "5", mediaType: {} },
  ["a", 1, null],
  { toString: 1 },
];

/** The text of a JSON value that no JSON.stringify would write. */
function nastyText(chance: Chance): string {
  const deep = chance.pick([100, 1_000, 10_000, 200_000]);
  return chance.pick([
    () => "[".repeat(deep) + "]".repeat(deep),
    () => "[".repeat(deep),
    () => `${'{"a":'.repeat(deep)}1${"}".repeat(deep)}`,
    () => "9007199254740993",
    () => "-9223372036854775809",
    () => "1e400",
    () => "-0",
    () => "9".repeat(1_000),
    () => '{"a":1,"a":2,"a":3}',
    () => '{"__proto__":{"digest":"x"},"constructor":{"prototype":1}}',
    () => '"\\ud800"',
    () => '"\\u0000"',
    () => "NaN",
    () => "0x10",
    () => "'a'",
    () => "/* */1",
  ])();
}

const members = [
  "schemaVersion",
  "mediaType",
  "config",
  "layers",
  "manifests",
  "blobs",
  "subject",
  "annotations",
  "artifactType",
  "fsLayers",
  "history",
  "signatures",
  "Digest",
  "blobSum",
  "urls",
  "platform",
  "data",
] as const;

/** A right one with one thing wrong, or with many. */
export function nastyManifest(chance: Chance, known: Known): Pushable {
  const right =
    known.blobs.length === 0 || chance.percent(25)
      ? rightIndex(chance, known)
      : rightImage(chance, known);
  const value = JSON.parse(Buffer.from(right.bytes).toString()) as Record<string, unknown>;
  const type = chance.percent(85) ? right.type : chance.pick([...nastyTypes, types.schema1]);
  return { type, bytes: chance.pick(damages)(chance, value, known) };
}

type Damage = (chance: Chance, value: Record<string, unknown>, known: Known) => Uint8Array;

const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

const damages: readonly Damage[] = [
  // One member is something else.
  (chance, value) => text({ ...value, [chance.pick(members)]: chance.pick(nastyValues) }),
  (chance, value) => {
    const name = chance.pick(members);
    const whole = JSON.stringify({ ...value, [name]: "@@" });
    return Buffer.from(whole.replace('"@@"', nastyText(chance)));
  },
  // A member twice.
  (chance, value) => {
    const name = chance.pick(members);
    const more = `"${name}":${JSON.stringify(chance.pick(nastyValues))}`;
    return Buffer.from(JSON.stringify(value).replace("{", `{${more},`));
  },
  // A descriptor that is wrong, among right ones.
  (chance, value) => {
    const list = chance.pick(["layers", "manifests"]);
    const wrong = {
      mediaType: chance.pick([types.layer, types.manifest, 5, null, "é\n", "x".repeat(3_000)]),
      digest: chance.pick([...nastyDigests, null, 5, {}]),
      size: chance.pick([5, -1, 1.5, 2 ** 53 + 2, "5", null]),
      urls: chance.pick([undefined, [], ["file:///etc/passwd"], ["javascript:1"], "x", [null]]),
      platform: chance.pick([undefined, null, {}, "linux", { os: 1 }]),
      data: chance.pick([undefined, "AAAA", 5, "x".repeat(5_000)]),
      annotations: chance.pick([undefined, null, { a: 1 }, { a: "b" }, []]),
    };
    const there: unknown = value[list];
    const others: readonly unknown[] = Array.isArray(there) ? there : [];
    return text({ ...value, [list]: [...others, wrong] });
  },
  (chance, value) => text({ ...value, config: { digest: chance.pick(nastyDigests), size: 5 } }),
  (chance, value) => {
    const subject = descriptor(types.manifest, chance.pick(nastyDigests));
    return text({ ...value, subject });
  },
  // Very many.
  (chance, value, { blobs }) => {
    const digest = blobs[0] ?? digestOf(Buffer.from("x"));
    const count = chance.pick([1_000, 10_000, 10_001, 12_000]);
    const layers = Array.from({ length: count }, (_, n) =>
      descriptor(types.layer, chance.percent(50) ? digest : digestOf(Buffer.from(`${n}`))),
    );
    return text({ ...value, layers });
  },
  (chance, value) => {
    const count = chance.pick([10, 1_000, 5_000]);
    const annotations: Record<string, string> = {};
    for (let n = 0; n < count; n += 1) annotations[`key-${n}`] = "v".repeat(50);
    return text({ ...value, annotations });
  },
  // No JSON any more.
  (chance, value) => {
    const bytes = Buffer.from(JSON.stringify(value));
    for (let n = 1 + chance.below(4); n > 0; n -= 1)
      bytes[chance.below(bytes.length)] = chance.below(256);
    return bytes;
  },
  (chance, value) => text(value).subarray(0, chance.below(text(value).length)),
  (_chance, value) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), text(value)]),
  (_chance, value) => Buffer.from(JSON.stringify(value), "utf16le"),
  (_chance, value) => Buffer.concat([text(value), Buffer.from("\n{}")]),
  (_chance, value) => text([value]),
  (chance) => Buffer.from(nastyText(chance)),
  (chance) => text(chance.pick(nastyValues)),
  (chance) => chance.bytes(chance.below(500)),
  (chance) => (chance.percent(3) ? Buffer.alloc(4 * 1024 * 1024 + 1, "[") : Buffer.from("[")),
  (chance) => (chance.percent(3) ? Buffer.alloc(4 * 1024 * 1024, " ") : Buffer.from(" ")),
];

/** What the API reads as the configuration of an image. */
export function nastyConfig(chance: Chance): Uint8Array {
  return chance.pick([
    () => text({ architecture: "amd64", os: "linux", rootfs: { diff_ids: [] }, history: [] }),
    () => text({ architecture: 1, os: [], rootfs: null, history: {}, config: "x", created: {} }),
    () => text({ history: Array.from({ length: 3_000 }, () => ({ created_by: "x".repeat(20) })) }),
    () => text({ history: [null, 1, { created_by: { a: 1 }, empty_layer: "yes", created: "-" }] }),
    () => text({ config: { Env: [1, null], Labels: { a: 1 }, Cmd: "x", ExposedPorts: [] } }),
    () => Buffer.from(nastyText(chance)),
    () => text(chance.pick(nastyValues)),
    () => chance.bytes(chance.below(300)),
  ])();
}

export function nastyJson(chance: Chance): string {
  return chance.percent(50) ? nastyText(chance) : JSON.stringify(chance.pick(nastyValues));
}
