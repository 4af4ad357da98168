// A month of CI on a disk of 256 MB, replayed by a clock that the test moves: builds every hour, many times
// what the disk holds. It never fills, no push is refused, and no tag that a rule keeps is ever lost.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Image, imageOf, type Layer, makeLayer } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { run } from "../support/registry-process.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { type CiRegistry, startCiRegistry } from "./ci-registry.ts";
import { VirtualTime } from "./virtual-time.ts";

setDefaultTimeout(600_000);

const isRoot = process.getuid?.() === 0;
const mib = 1024 * 1024;
const diskKib = 256 * 1024;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const days = 30;
const apps = ["web", "api", "worker"] as const;
const startMs = Date.UTC(2026, 0, 1);

const configuration = {
  storage: "  watermark: {warn: 60%, collect: 80%, refuse: 95%}",
  sections: `gc: {untagged: {delete: true, olderthan: 24h}}
immutable: [{name: releases, repositories: ["release/**"], tags: ["v*"]}]
retention:
  - name: ci-builds
    repositories: ["ci/**"]
    tags: ["*"]
    keep: {newest: 10, pulledwithin: 2d, matching: [latest]}
    interval: 240h
    onpressure: true
`,
};

/** What has to be there: repository, tag, and the digest of its manifest. */
class Kept {
  readonly #builds = new Map<string, { tag: string; image: Image; pulledAtMs: number }[]>();
  readonly #always = new Map<string, Image>();

  build(repository: string, tag: string, image: Image): void {
    const builds = this.#builds.get(repository) ?? [];
    this.#builds.set(repository, [...builds, { tag, image, pulledAtMs: 0 }]);
  }
  always(repository: string, tag: string, image: Image): void {
    this.#always.set(`${repository}:${tag}`, image);
  }
  deleted(repository: string, tag: string): void {
    const builds = this.#builds.get(repository) ?? [];
    this.#builds.set(
      repository,
      builds.filter((build) => build.tag !== tag),
    );
  }
  /** Of the newest builds, the one so far back. */
  recent(repository: string, back: number): { tag: string; image: Image; pulledAtMs: number } {
    const build = this.#builds.get(repository)?.at(-1 - back);
    if (build === undefined) throw new Error(`${repository} has no build ${back} back`);
    return build;
  }
  /** By the rule of the configuration, on the side of what surely stays. */
  now(nowMs: number): { repository: string; tag: string; image: Image }[] {
    const kept = [...this.#always].map(([name, image]) => {
      const [repository = "", tag = ""] = name.split(":");
      return { repository, tag, image };
    });
    for (const [repository, builds] of this.#builds) {
      for (const [n, build] of builds.entries()) {
        // `latest` is the newest tag of all, so the rule keeps nine builds beside it.
        const isNewest = n >= builds.length - 9;
        if (isNewest || build.pulledAtMs > nowMs - 2 * dayMs + hourMs) {
          kept.push({ repository, tag: build.tag, image: build.image });
        }
      }
    }
    return kept;
  }
}

describe("a month of CI on a small disk", () => {
  let directory = "";
  let disk: SmallDisk | null = null;
  let registry: CiRegistry | null = null;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "plimsoll-month-"));
    if (isRoot) disk = mountSmallDisk(directory, diskKib);
  });
  afterEach(async () => {
    await registry?.stop();
    disk?.unmount();
    rmSync(directory, { recursive: true });
  });

  test.skipIf(!isRoot)("never fills, and never loses a kept tag", async () => {
    if (disk === null) throw new Error("this is root, and may not mount");
    const time = new VirtualTime(startMs);
    registry = await startCiRegistry(directory, time, configuration);
    const http = new PushClient(`http://${registry.host}`);
    const kept = new Kept();
    const peak = { percent: 0 };
    let pushedBytes = 0;
    const note = ({ freeBytes }: SmallDisk): void => {
      peak.percent = Math.max(peak.percent, 100 - (freeBytes / (diskKib * 1024)) * 100);
    };
    for (let day = 0; day < days; day++) {
      for (let hour = 0; hour < 24; hour++) {
        time.moveTo(startMs + day * dayMs + hour * hourMs);
        await registry.settle();
        note(disk);
        const app = apps[hour % apps.length] ?? "web";
        const layers = layersOf({ app, day, hour });
        const image = imageOf(layers, { label: `${app} ${day} ${hour}` });
        const repository = `ci/${app}`;
        const tag = `build-${day * 24 + hour}`;
        await http.push(repository, tag, image);
        await http.putManifest(repository, "latest", image.manifest);
        pushedBytes += layers.at(-1)?.bytes.length ?? 0;
        kept.build(repository, tag, image);
        kept.always(repository, "latest", image);
        note(disk);
        // Whoever deploys pulls a build of some hours ago; a job that failed deletes its own.
        if (hour % 4 === 3) await deploy(http, { kept, repository, nowMs: time.now() });
        if (hour % 8 === 7) {
          await http.deleteManifest(repository, image.manifest.digest);
          kept.deleted(repository, tag);
          const before = kept.recent(repository, 0);
          await http.putManifest(repository, "latest", before.image.manifest);
          kept.always(repository, "latest", before.image);
        }
      }
      if (day % 7 === 6) await release(http, kept, day);
      await expectAll(http, kept.now(time.now()));
    }
    await expectRealClient(registry.host, directory, kept.recent("ci/web", 0));
    // Four times what the disk holds went through it.
    expect(pushedBytes).toBeGreaterThan(4 * diskKib * 1024);
    expect(peak.percent).toBeLessThan(95);
    expect(peak.percent).toBeGreaterThan(75);
    const pressed = registry.runs.filter(({ trigger }) => trigger === "pressure");
    expect(pressed.length).toBeGreaterThan(3);
    expect(registry.lines.filter((line) => line.includes("pushes are refused until"))).toEqual([]);
    expect(registry.lines.filter((line) => line.startsWith("error"))).toEqual([]);
    // Nothing is stored beyond what the index knows, and it is below the mark.
    await registry.collectNow();
    await expectAll(http, kept.now(time.now()));
  });
});

/** One that changes once a week, one that changes once a day, and the build's own. */
function layersOf({ app, day, hour }: { app: string; day: number; hour: number }): Layer[] {
  return [
    makeLayer(`base ${Math.floor(day / 7)}`, 4 * mib),
    makeLayer(`dependencies ${app} ${day}`, mib),
    makeLayer(`build ${app} ${day} ${hour}`, 1.6 * mib),
  ];
}

async function deploy(
  http: PushClient,
  { kept, repository, nowMs }: { kept: Kept; repository: string; nowMs: number },
): Promise<void> {
  if (nowMs < startMs + dayMs) return;
  const build = kept.recent(repository, 5);
  const { digest } = await http.pull(repository, build.tag);
  expect(digest).toBe(build.image.manifest.digest);
  build.pulledAtMs = nowMs;
}

/** Once a week: the newest build of each app, under a tag that never moves. */
async function release(http: PushClient, kept: Kept, day: number): Promise<void> {
  for (const app of apps) {
    const { image } = kept.recent(`ci/${app}`, 1);
    await http.push(`release/${app}`, `v${Math.floor(day / 7)}`, image);
    kept.always(`release/${app}`, `v${Math.floor(day / 7)}`, image);
  }
}

async function expectAll(
  http: PushClient,
  kept: readonly { repository: string; tag: string; image: Image }[],
): Promise<void> {
  for (const { repository, tag, image } of kept) {
    const path = `/v2/${repository}/manifests/${tag}`;
    const head = await http.send(path, { method: "HEAD", expect: [200] });
    expect(head.headers.get("docker-content-digest"), `${repository}:${tag}`).toBe(
      image.manifest.digest,
    );
    for (const { digest } of [image.config, ...image.layers]) {
      await http.send(`/v2/${repository}/blobs/${digest}`, { method: "HEAD", expect: [200] });
    }
  }
}

async function expectRealClient(
  host: string,
  directory: string,
  build: { readonly tag: string },
): Promise<void> {
  if (Bun.which("skopeo") === null) return;
  const source = `docker://${host}/ci/web:${build.tag}`;
  const copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"];
  const target = `${directory}-pulled`;
  const pulled = await run([...copy, source, `dir:${target}`]);
  rmSync(target, { recursive: true, force: true });
  expect(pulled.exitCode, pulled.stderr).toBe(0);
}
