// The load line, from outside: a registry on a small disk of its own that is filled by pushes. It makes
// room before the line, refuses at the line, goes on with everything else, and takes pushes again.
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { type Image, makeImage, writeLayout } from "../support/images.ts";
import { PushClient, UnexpectedAnswerError } from "../support/push-client.ts";
import { run, type RunningRegistry } from "../support/registry-process.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(240_000);

const mib = 1024 * 1024;
const isRoot = process.getuid?.() === 0;
const env = { REGISTRY_STORAGE_WATERMARK: '{"warn":"50%","collect":"70%","refuse":"85%"}' };
const imageOf = (n: number): Image => makeImage(`load-line/${n}`, [2 * mib, 1024]);

/** On a disk of 32 MiB: about 13 images reach the line. */
function onSmallDisk(
  body: (sandbox: Sandbox, server: RunningRegistry, disk: SmallDisk) => Promise<void>,
): () => Promise<void> {
  return withSandbox(
    async (sandbox) => {
      mkdirSync(sandbox.root);
      const disk = mountSmallDisk(sandbox.root, 32 * 1024);
      if (disk === null) throw new Error("this is root, and may not mount");
      try {
        await body(sandbox, await sandbox.start({ env }), disk);
      } finally {
        disk.unmount();
      }
    },
    // So that nothing but the load makes it collect.
    { more: "gc:\n  enabled: false\n  grace: 1s\n" },
  );
}

async function linesAbout(server: RunningRegistry, text: string): Promise<string[]> {
  return (await server.log()).split("\n").filter((line) => line.includes(text));
}

/** Lines are written when there is time. */
async function untilTold(server: RunningRegistry, text: string): Promise<void> {
  while ((await linesAbout(server, text)).length === 0) await Bun.sleep(50);
}

async function pushUntilRefused(http: PushClient): Promise<{ n: number; error: unknown }> {
  for (let n = 0; ; n++) {
    try {
      await http.push("app", `t${n}`, imageOf(n));
    } catch (error) {
      return { n, error };
    }
  }
}

test(
  "of storage.maxsize, blobs and unfinished uploads count; a collection makes room",
  withSandbox(
    async (sandbox) => {
      const server = await sandbox.start({ env: { REGISTRY_STORAGE_MAXSIZE: "8MiB" } });
      const http = new PushClient(server.url);
      for (const n of [0, 1]) await http.push("app", `t${n}`, imageOf(n));
      const unfinished = await http.beginUpload("app");
      const body = new Uint8Array(2.5 * mib);
      await http.send(unfinished, { method: "PATCH", body, expect: [202] });
      const refused = await http.push("app", "t2", imageOf(2)).catch((error: unknown) => error);
      if (!(refused instanceof UnexpectedAnswerError)) throw new Error("it was accepted");
      expect([refused.status, refused.codes]).toEqual([507, ["DENIED"]]);
      expect(refused.body).toContain("storage.maxsize has no room for these");
      await http.deleteManifest("app", imageOf(0).manifest.digest);
      expect((await sandbox.command("garbage-collect")).exitCode).toBe(0);
      await http.push("app", "t2", imageOf(2));
      expect(await server.stop()).toBe(0);
    },
    { more: "gc:\n  enabled: false\n  grace: 1s\n" },
  ),
);

test.skipIf(!isRoot)(
  "what was deleted makes room for what is pushed, and no push is refused",
  onSmallDisk(async (sandbox, server) => {
    const http = new PushClient(server.url);
    // Five times what fits.
    for (let n = 0; n < 70; n++) {
      await http.push("app", `t${n}`, imageOf(n));
      if (n >= 5) await http.deleteManifest("app", imageOf(n - 5).manifest.digest);
    }
    for (let n = 65; n < 70; n++) {
      expect((await http.pull("app", `t${n}`)).digest).toBe(imageOf(n).manifest.digest);
    }
    const told = await linesAbout(server, "above storage.watermark");
    expect(told.join("\n")).toContain("above storage.watermark.collect (70%): making room");
    expect((await linesAbout(server, "room was made")).length).toBeGreaterThan(2);
    const { stdout } = await sandbox.command("garbage-collect", "--history", "--json");
    const { runs } = JSON.parse(stdout) as { runs: { trigger: string }[] };
    expect(new Set(runs.map(({ trigger }) => trigger))).toEqual(new Set(["pressure"]));
    expect(await server.stop()).toBe(0);
  }),
);

test.skipIf(!isRoot)(
  "at the line pushes are refused with what to do, pulls and deletions go on, and a collection ends it",
  onSmallDisk(async (sandbox, server, disk) => {
    const http = new PushClient(server.url);
    const { n, error } = await pushUntilRefused(http);
    if (!(error instanceof UnexpectedAnswerError)) throw error;
    expect([error.status, error.codes]).toEqual([507, ["DENIED"]]);
    expect(error.body).toContain("registry garbage-collect");
    expect(n).toBeGreaterThan(8);
    for (let at = 0; at < n; at++) {
      expect((await http.pull("app", `t${at}`)).digest).toBe(imageOf(at).manifest.digest);
    }
    const layout = join(sandbox.directory, "layout");
    await writeLayout(layout, { big: makeImage("load-line/skopeo", [3 * mib]) });
    const copy = ["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false"];
    const image = `docker://${server.host}/other/app:big`;
    if (Bun.which("skopeo") !== null) {
      const refused = await run([...copy, `oci:${layout}:big`, image]);
      expect(refused.exitCode).not.toBe(0);
      expect(refused.stderr).toContain("507");
    }
    // Others write to that disk, too: now not even an upload begins.
    disk.fill(3 * mib);
    await Bun.sleep(300);
    expect(await http.statusOf(`/v2/app/manifests/t0`)).toBe(200);
    const begun = await fetch(`${server.url}/v2/app/blobs/uploads/`, { method: "POST" });
    expect(begun.status).toBe(507);
    await untilTold(server, "pushes are refused until there is room");
    disk.empty();
    for (let at = 0; at < 4; at++) {
      await http.deleteManifest("app", imageOf(at).manifest.digest);
    }
    const collected = await sandbox.command("garbage-collect");
    expect(collected.exitCode, collected.stderr).toBe(0);
    await http.push("app", "again", imageOf(0));
    if (Bun.which("skopeo") !== null) {
      const accepted = await run([...copy, `oci:${layout}:big`, image]);
      expect(accepted.exitCode, accepted.stderr).toBe(0);
    }
    await untilTold(server, "pushes are accepted again");
    expect(await server.stop()).toBe(0);
  }),
);

test.skipIf(!isRoot)(
  "uploads that do not say how large they are do not fill the disk to its last byte",
  onSmallDisk(async (sandbox, server) => {
    const http = new PushClient(server.url);
    await http.push("app", "kept", imageOf(0));
    const send = async (): Promise<number> => {
      const location = await http.beginUpload("app");
      const response = await fetch(new URL(location, server.url), {
        method: "PATCH",
        headers: { "Content-Type": "application/octet-stream" },
        body: chunksOf(16 * mib),
      });
      await response.arrayBuffer();
      return response.status;
    };
    let freeBytes = Number.POSITIVE_INFINITY;
    const watching = setInterval(() => {
      const { bavail, bsize } = statfsSync(sandbox.root);
      freeBytes = Math.min(freeBytes, bavail * bsize);
    }, 1);
    const statuses = await Promise.all([send(), send(), send()]);
    clearInterval(watching);
    expect(statuses).toContain(507);
    expect(freeBytes).toBeGreaterThan(mib / 4);
    expect((await http.pull("app", "kept")).digest).toBe(imageOf(0).manifest.digest);
    expect(await server.stop()).toBe(0);
  }),
);

function chunksOf(bytes: number): ReadableStream<Uint8Array> {
  const chunk = new Uint8Array(64 * 1024).fill(7);
  let left = bytes;
  return new ReadableStream({
    pull: (controller) => {
      if (left <= 0) {
        controller.close();
        return;
      }
      controller.enqueue(chunk);
      left -= chunk.byteLength;
    },
  });
}
