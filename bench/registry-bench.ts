// Pushes, pulls, big blobs and memory of both registries, side by side: each run starts a fresh server
// on a fresh root, and the sides take turns. Client work is outside the server's CPU seconds.
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readSync, writeFileSync, writeSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { makeImage, mediaTypes, randomBytesOf } from "../test/support/images.ts";
import { PushClient } from "../test/support/push-client.ts";
import type { RunningRegistry } from "../test/support/registry-process.ts";
import { runOk } from "../test/support/registry-process.ts";
import { costOf, median, memoryMibOf } from "./measure.ts";
import type { Row } from "./results.ts";
import type { PerSide, Place, SideName } from "./sides.ts";
import { placeFor, sideNames, start } from "./sides.ts";

export interface RegistryBenchOptions {
  readonly directory: string;
  readonly runs: number;
  /** Of each wrk load. */
  readonly seconds: number;
  readonly images: number;
  readonly largeMib: number;
  readonly parallelMib: number;
}

const pushers = 4;
const parallelUploads = 32;
const connections = 16;
const settleMs = 1000;
const repository = "bench/image";

type Numbers = Record<string, number>;

export async function benchRegistry(options: RegistryBenchOptions): Promise<Row[]> {
  const source = join(options.directory, "large");
  writeLarge(source, options.largeMib);
  const digest = digestOfFiles(source);
  const measured: Record<SideName, Numbers[]> = { classic: [], plimsoll: [] };
  const baselines: number[] = [];
  for (let n = 0; n < options.runs; n += 1) {
    for (const side of sideNames) {
      console.error(`registry bench, run ${n + 1} of ${options.runs}: ${side}`);
      const root = join(options.directory, `${side}-root`);
      const place = await placeFor(side, options.directory, root);
      const large = await onServer(place, (server) => {
        return benchOneServer(server, options, { source, digest });
      });
      const parallel = await onServer(place, (server) => benchParallel(server, options));
      measured[side].push({ ...large, ...parallel });
    }
    baselines.push(await baselineSeconds(source, join(options.directory, "baseline")));
  }
  const medianOf = (side: SideName, key: string): number =>
    median(measured[side].map((numbers) => numbers[key] ?? Number.NaN));
  const both = (key: string): PerSide => {
    return { classic: medianOf("classic", key), plimsoll: medianOf("plimsoll", key) };
  };
  return rowsOf(both, median(baselines), options);
}

async function onServer(
  place: Place,
  body: (server: RunningRegistry) => Promise<Numbers>,
): Promise<Numbers> {
  const server = await start(place);
  try {
    return await body(server);
  } finally {
    await server.stop();
    await rm(place.root, { recursive: true, force: true });
    // What the last one left to the disk is not the next one's load.
    await runOk(["sync"]);
  }
}

async function benchOneServer(
  server: RunningRegistry,
  options: RegistryBenchOptions,
  large: { readonly source: string; readonly digest: string },
): Promise<Numbers> {
  await Bun.sleep(settleMs);
  const idleMib = memoryMibOf(server.pid, "VmRSS");
  const http = new PushClient(server.url);
  const pushes = await benchPushes(server, http, options.images);
  const gets = await benchGets(server, http, options.seconds);
  const upload = `${http.url}${await uploadPath(http)}`;
  const put = await costOf(server.pid, async () => {
    const patched = await curl(["-X", "PATCH", "-T", large.source, "-D", "-", upload]);
    const location = /^location: (.*)$/im.exec(patched)?.[1]?.trim() ?? "";
    await http.finishUpload(location, large.digest);
  });
  const url = `${http.url}/v2/${repository}/blobs/${large.digest}`;
  const get = await costOf(server.pid, () => curl(["-o", "/dev/null", url]));
  return {
    startMs: server.startMs,
    idleMib,
    ...pushes,
    ...gets,
    putSeconds: put.wallSeconds,
    putCpuSeconds: put.cpuSeconds,
    getSeconds: get.wallSeconds,
    getCpuSeconds: get.cpuSeconds,
  };
}

async function benchPushes(
  server: RunningRegistry,
  http: PushClient,
  count: number,
): Promise<Numbers> {
  const images = Array.from({ length: count }, (_, n) => makeImage(`bench/${n}`, [1024, 512]));
  const requestsBefore = http.requests;
  const queue = images.entries();
  const cost = await costOf(server.pid, async () => {
    const pusher = async (): Promise<void> => {
      for (const [n, image] of queue) await http.push(repository, `v${n}`, image);
    };
    await Promise.all(Array.from({ length: pushers }, pusher));
  });
  return {
    pushesPerSecond: count / cost.wallSeconds,
    pushesPerCpuSecond: count / cost.cpuSeconds,
    pushRequestsPerCpuSecond: (http.requests - requestsBefore) / cost.cpuSeconds,
  };
}

async function benchGets(
  server: RunningRegistry,
  http: PushClient,
  seconds: number,
): Promise<Numbers> {
  const blob = { mediaType: mediaTypes.layer, ...smallBlob() };
  await http.pushBlob(repository, blob);
  const manifest = await wrk(server, `/v2/${repository}/manifests/v0`, seconds);
  const small = await wrk(server, `/v2/${repository}/blobs/${blob.digest}`, seconds);
  return {
    manifestsPerSecond: manifest.perSecond,
    manifestsPerCpuSecond: manifest.perCpuSecond,
    blobsPerSecond: small.perSecond,
    blobsPerCpuSecond: small.perCpuSecond,
  };
}

function smallBlob(): { digest: string; bytes: Uint8Array } {
  const bytes = randomBytesOf("bench/small", 1024);
  return { digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, bytes };
}

async function wrk(
  server: RunningRegistry,
  path: string,
  seconds: number,
): Promise<{ perSecond: number; perCpuSecond: number }> {
  const load = ["-t", "1", "-c", String(connections), "-d", `${seconds}s`];
  const accept = ["-H", `Accept: ${mediaTypes.manifest}`];
  let output = "";
  const cost = await costOf(server.pid, async () => {
    output = (await runOk(["wrk", ...load, ...accept, server.url + path])).stdout;
  });
  const requests = Number(/(\d+) requests in/.exec(output)?.[1]);
  if (!(requests > 0) || /Non-2xx/.test(output)) throw new Error(`wrk ${path}:\n${output}`);
  return { perSecond: requests / cost.wallSeconds, perCpuSecond: requests / cost.cpuSeconds };
}

async function benchParallel(
  server: RunningRegistry,
  options: RegistryBenchOptions,
): Promise<Numbers> {
  const http = new PushClient(server.url);
  const common = join(options.directory, "common");
  writeLarge(common, options.parallelMib);
  const prepared = await Promise.all(
    Array.from({ length: parallelUploads }, async (_, n) => {
      // A few bytes in front make each a blob of its own.
      const own = join(options.directory, `own-${n}`);
      await writeFile(own, `upload ${n}`);
      return { own, digest: digestOfFiles(own, common) };
    }),
  );
  const upload = async ({ own, digest }: { own: string; digest: string }): Promise<void> => {
    const target = `${http.url}${await uploadPath(http)}`;
    const sent = await runOk([
      "bash",
      "-o",
      "pipefail",
      "-c",
      `cat '${own}' '${common}' | curl -sSf -X PATCH -T - -D - '${target}'`,
    ]);
    const location = /^location: (.*)$/im.exec(sent.stdout)?.[1]?.trim() ?? "";
    await http.finishUpload(location, digest);
    await rm(own);
  };
  const startedAt = performance.now();
  await Promise.all(prepared.map(upload));
  const parallelSeconds = (performance.now() - startedAt) / 1000;
  return { peakMib: memoryMibOf(server.pid, "VmHWM"), parallelSeconds };
}

async function uploadPath(http: PushClient): Promise<string> {
  const { pathname, search } = new URL(await http.beginUpload(repository), http.url);
  return pathname + search;
}

async function curl(args: readonly string[]): Promise<string> {
  const type = ["-H", "Content-Type: application/octet-stream"];
  return (await runOk(["curl", "-sSf", ...type, ...args], { timeoutMs: 600_000 })).stdout;
}

const portionBytes = 1024 * 1024;

function writeLarge(path: string, mebibytes: number): void {
  const portion = randomBytesOf(path, portionBytes);
  writeFileSync(path, "");
  const file = openSync(path, "w");
  for (let n = 0; n < mebibytes; n += 1) writeSync(file, portion);
  closeSync(file);
}

function digestOfFiles(...paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) {
    eachPortion(path, (bytes) => hash.update(bytes));
  }
  return `sha256:${hash.digest("hex")}`;
}

function eachPortion(path: string, take: (bytes: Uint8Array) => void): void {
  const buffer = Buffer.alloc(portionBytes);
  const file = openSync(path, "r");
  for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) {
    take(buffer.subarray(0, read));
  }
  closeSync(file);
}

/** Write, fsync and sha256 of the same bytes: what no registry that promises durability can avoid. */
async function baselineSeconds(source: string, target: string): Promise<number> {
  const startedAt = performance.now();
  const hash = createHash("sha256");
  const file = openSync(target, "w");
  eachPortion(source, (bytes) => {
    hash.update(bytes);
    writeSync(file, bytes);
  });
  fsyncSync(file);
  closeSync(file);
  hash.digest();
  const seconds = (performance.now() - startedAt) / 1000;
  await rm(target);
  return seconds;
}

function rowsOf(
  both: (key: string) => PerSide,
  baseline: number,
  options: RegistryBenchOptions,
): Row[] {
  const size = options.largeMib === 1024 ? "1 GiB" : `${options.largeMib} MiB`;
  const uploads = `${parallelUploads} parallel uploads of ${options.parallelMib} MiB`;
  const informs = (what: string, unit: string, key: string): Row => {
    return { what, unit, ...both(key), reach: "", reached: null };
  };
  const wants = (
    row: Row,
    reach: string,
    test: (classic: number, plimsoll: number) => boolean,
  ): Row => {
    return { ...row, reach, reached: test(row.classic ?? 0, row.plimsoll ?? 0) };
  };
  return [
    informs("small images pushed", "images / s", "pushesPerSecond"),
    informs("small images pushed", "images / server CPU s", "pushesPerCpuSecond"),
    informs("requests of these pushes", "requests / server CPU s", "pushRequestsPerCpuSecond"),
    informs("manifest GET by tag", "requests / s", "manifestsPerSecond"),
    wants(
      informs("manifest GET by tag", "requests / server CPU s", "manifestsPerCpuSecond"),
      "at least 20 times the classic's",
      (classic, plimsoll) => plimsoll >= classic * 20,
    ),
    informs("1 KiB blob GET", "requests / s", "blobsPerSecond"),
    informs("1 KiB blob GET", "requests / server CPU s", "blobsPerCpuSecond"),
    wants(
      informs(`blob PUT of ${size}`, "server CPU s", "putCpuSeconds"),
      "at most half of the classic's",
      (classic, plimsoll) => plimsoll <= classic / 2,
    ),
    wants(
      informs(`blob PUT of ${size}`, "s", "putSeconds"),
      `within 1.1 of write + fsync + sha256 (${baseline.toFixed(2)} s)`,
      (_, plimsoll) => plimsoll <= baseline * 1.1,
    ),
    informs(`blob GET of ${size}`, "s", "getSeconds"),
    wants(
      informs(`blob GET of ${size}`, "server CPU s", "getCpuSeconds"),
      "at most the classic's",
      (classic, plimsoll) => plimsoll <= classic,
    ),
    informs(uploads, "s", "parallelSeconds"),
    wants(
      informs(`memory, ${uploads}`, "MiB at the peak", "peakMib"),
      "under 256",
      (_, plimsoll) => plimsoll < 256,
    ),
    wants(informs("memory, idle", "MiB", "idleMib"), "under 80", (_, plimsoll) => plimsoll < 80),
    informs("start to first answer, empty root", "ms", "startMs"),
  ];
}
