// The commands from outside: exit codes, messages and streams of each, and what becomes of a root when a
// server is stopped, killed, or started twice.
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { digestsOf, makeImage } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import type { Sandbox } from "./sandbox.ts";
import { filesBelow, outputOf, replaceInConfig, storedDigests, withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const repository = "team/app";
const kept = makeImage("commands/kept", [4096, 1024]);
const doomed = makeImage("commands/doomed", [4096, 1024]);

/** Pushes both images and deletes one, as the start of a collection. */
async function pushAndDelete(url: string): Promise<void> {
  const http = new PushClient(url);
  await http.push(repository, "kept", kept);
  await http.push(repository, "doomed", doomed);
  await http.deleteManifest(repository, doomed.manifest.digest);
}

describe("garbage-collect --history", () => {
  test(
    "shows who collected and what went, with the server and without",
    withSandbox(async (sandbox) => {
      const server = await sandbox.start();
      await pushAndDelete(server.url);
      expect((await sandbox.command("garbage-collect", "--keep-deleted", "1h")).stdout).toMatch(
        /^0 bytes reclaimed[^]*1 deletions can be undone, the last of them until 20/m,
      );
      expect((await sandbox.command("garbage-collect")).exitCode).toBe(0);
      const running = await sandbox.command("garbage-collect", "--history", "--json");
      expect(await server.stop()).toBe(0);
      const stopped = await sandbox.command("garbage-collect", "--history", "--json");
      expect(JSON.parse(stopped.stdout)).toEqual(JSON.parse(running.stdout));
      expect(JSON.parse(stopped.stdout)).toMatchObject({
        runs: [
          { askedBy: "command", blobs: digestsOf(doomed).length, stopped: null, isOver: true },
          { askedBy: "command", blobs: 0, stopped: null },
        ],
      });
      const lines = await sandbox.command("garbage-collect", "--history", "--limit", "1");
      expect(lines).toMatchObject({ exitCode: 0 });
      expect(lines.stdout).toMatch(/^#2 20\S+ command \(\w+\), request: done in .* bytes .*\n$/);
      const wrong = await sandbox.command("garbage-collect", "--history", "--limit", "none");
      expect(wrong.exitCode).toBe(1);
      expect(outputOf(wrong)).toContain("--limit");
    }),
    180_000,
  );
});

describe("serve", () => {
  test(
    "a second server on the same root is refused, naming the first",
    withSandbox(async (sandbox) => {
      const first = await sandbox.start();
      await replaceInConfig(sandbox, sandbox.host, "127.0.0.1:0");
      const second = await sandbox.command("serve");
      expect(second.exitCode).toBe(1);
      expect(second.stderr).toContain(String(first.pid));
      expect(await new PushClient(first.url).statusOf("/v2/")).toBe(200);
    }),
  );

  test(
    "says in three lines where it listens, where the data is and how to push",
    withSandbox(async (sandbox) => {
      const server = await sandbox.start();
      // The first answer may come before these lines, and log lines are gathered for some moments.
      const isWhole = (log: string): boolean => /Push with/.test(log) && /msg="listening/.test(log);
      while (!isWhole(await server.log())) await Bun.sleep(5);
      const lines = (await server.log()).split("\n");
      const { host, root } = sandbox;
      expect(lines).toContain(`Listening on ${host}`);
      expect(lines).toContain(`Data in ${root}`);
      expect(lines).toContain(
        `Push with: docker tag IMAGE ${host}/IMAGE && docker push ${host}/IMAGE`,
      );
      expect(lines.join("\n")).toMatch(new RegExp(`level=info msg="listening on ${host}"`));
    }),
  );

  test(
    "says nothing besides the log where programs read it",
    withSandbox(async (sandbox) => {
      const env = { REGISTRY_LOG_FORMATTER: "json", REGISTRY_LOG_ACCESSLOG_DISABLED: "true" };
      const server = await sandbox.start({ env });
      expect(await server.stop()).toBe(0);
      const lines = (await server.log()).trim().split("\n");
      expect(lines.length).toBeGreaterThan(1);
      for (const line of lines) expect(line).toStartWith("{");
    }),
  );

  test(
    "SIGTERM and SIGINT end it with 0",
    withSandbox(async (sandbox) => {
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        const server = await sandbox.start();
        expect(await server.stop(signal)).toBe(0);
      }
    }),
  );

  test(
    "killed, it starts again with nothing to clean up, and has what it acknowledged",
    withSandbox(async (sandbox) => {
      const killed = await sandbox.start();
      await new PushClient(killed.url).push(repository, "kept", kept);
      await killed.stop("SIGKILL");
      const server = await sandbox.start();
      const pulled = await new PushClient(server.url).pull(repository, "kept");
      expect(pulled.digest).toBe(kept.manifest.digest);
      expect(await sandbox.command("verify")).toMatchObject({ exitCode: 0 });
    }),
  );

  test(
    "killed, it leaves a root that a command can use alone",
    withSandbox(async (sandbox) => {
      const killed = await sandbox.start();
      await pushAndDelete(killed.url);
      await killed.stop("SIGKILL");
      const result = await sandbox.command("garbage-collect");
      expect(result.exitCode, outputOf(result)).toBe(0);
      expect(await storedDigests(sandbox)).toEqual(digestsOf(kept).sort());
    }),
  );

  test(
    "read-only: pulls go on, writes answer 405",
    withSandbox(async (sandbox) => {
      const writable = await sandbox.start();
      await new PushClient(writable.url).push(repository, "kept", kept);
      expect(await writable.stop()).toBe(0);
      const env = { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: "true" };
      const http = new PushClient((await sandbox.start({ env })).url);
      expect((await http.pull(repository, "kept")).digest).toBe(kept.manifest.digest);
      const manifest = `/v2/${repository}/manifests/${kept.manifest.digest}`;
      await http.send(`/v2/${repository}/blobs/uploads/`, { method: "POST", expect: [405] });
      await http.send(manifest, { method: "DELETE", expect: [405] });
      await http.send(manifest, { method: "PUT", body: kept.manifest.bytes, expect: [405] });
    }),
  );

  test(
    "deletes disabled: 405 UNSUPPORTED, naming the configuration key",
    withSandbox(
      async (sandbox) => {
        const http = new PushClient((await sandbox.start()).url);
        await http.push(repository, "kept", kept);
        const layer = kept.layers[0]?.digest ?? "";
        for (const path of [`manifests/${kept.manifest.digest}`, `blobs/${layer}`]) {
          const url = `/v2/${repository}/${path}`;
          const answer = await http.send(url, { method: "DELETE", expect: [405] });
          const body = await answer.text();
          expect(body).toContain('"UNSUPPORTED"');
          expect(body).toContain("storage.delete.enabled");
        }
        expect((await http.pull(repository, "kept")).digest).toBe(kept.manifest.digest);
      },
      { deletes: false },
    ),
  );
});

describe("verify.scrub", () => {
  test(
    "finds altered bytes by itself: an error in the log, 404, and the next push mends",
    withSandbox(
      async (sandbox) => {
        const server = await sandbox.start();
        const http = new PushClient(server.url);
        await http.push(repository, "kept", kept);
        const digest = kept.layers[0]?.digest ?? "";
        const bytes = await readFile(blobPath(sandbox, digest));
        const altered = Uint8Array.from(bytes, (byte, at) => (at === 100 ? byte ^ 1 : byte));
        await writeFile(blobPath(sandbox, digest), altered);
        const error = `scrub: wrong bytes ${digest}`;
        while (!(await server.log()).includes(error)) await Bun.sleep(50);
        expect(await server.log()).toMatch(
          new RegExp(`level=error .*${error}.*needed by ${repository}:kept; moved to /plimsoll`),
        );
        const blob = `/v2/${repository}/blobs/${digest}`;
        for (const method of ["HEAD", "GET"]) await http.send(blob, { method, expect: [404] });
        await http.push(repository, "kept", kept);
        expect((await http.pull(repository, "kept")).digest).toBe(kept.manifest.digest);
        expect(await server.stop()).toBe(0);
      },
      { more: "verify:\n  scrub:\n    enabled: true\n    interval: 100ms\n" },
    ),
  );
});

describe.each(["beside a running server", "alone"])("garbage-collect %s", (where) => {
  const prepared = (body: (sandbox: Sandbox) => Promise<void>): (() => Promise<void>) =>
    withSandbox(async (sandbox) => {
      const server = await sandbox.start();
      await pushAndDelete(server.url);
      if (where === "alone") expect(await server.stop()).toBe(0);
      await body(sandbox);
    });

  test(
    "removes what was deleted and nothing else",
    prepared(async (sandbox) => {
      const result = await sandbox.command("garbage-collect");
      expect(result.exitCode, outputOf(result)).toBe(0);
      expect(await storedDigests(sandbox)).toEqual(digestsOf(kept).sort());
    }),
  );

  test(
    "--dry-run says what it would remove, and removes nothing",
    prepared(async (sandbox) => {
      // The links of what was just deleted may still be on their way out; the bytes are not.
      const blobs = join(sandbox.tree, "blobs");
      const before = await filesBelow(blobs);
      // Scripts for the classic command write the last two.
      for (const flag of ["-d", "--dry-run", "--dry-run=true", "-md=1"]) {
        const result = await sandbox.command("garbage-collect", flag);
        expect(result.exitCode, outputOf(result)).toBe(0);
        expect(result.stdout).toMatch(/4 blobs and \d+ manifests eligible for deletion/);
        for (const digest of digestsOf(doomed)) {
          expect(result.stdout).toContain(`blob eligible for deletion: ${digest}`);
        }
        expect(outputOf(result)).not.toContain("Deleting blob:");
        expect(outputOf(result)).toMatch(/reclaimable/i);
      }
      expect(await filesBelow(blobs)).toEqual(before);
    }),
  );

  test(
    "--json is one document on stdout",
    prepared(async (sandbox) => {
      const result = await sandbox.command("garbage-collect", "--json");
      expect(result.exitCode, outputOf(result)).toBe(0);
      const document: unknown = JSON.parse(result.stdout);
      const size = [doomed.manifest, doomed.config, ...doomed.layers]
        .map((blob) => blob.bytes.length)
        .reduce((total, bytes) => total + bytes, 0);
      expect(Object.values(document as object)).toContain(size);
      expect(await storedDigests(sandbox)).toEqual(digestsOf(kept).sort());
    }),
  );

  test(
    "--quiet leaves stdout empty",
    prepared(async (sandbox) => {
      const result = await sandbox.command("garbage-collect", "--quiet");
      expect(result).toMatchObject({ exitCode: 0, stdout: "" });
      expect(await storedDigests(sandbox)).toEqual(digestsOf(kept).sort());
    }),
  );

  test(
    "again finds nothing to do",
    prepared(async (sandbox) => {
      expect((await sandbox.command("garbage-collect")).exitCode).toBe(0);
      const result = await sandbox.command("garbage-collect");
      expect(result.exitCode, outputOf(result)).toBe(0);
      expect(result.stdout).toMatch(/0 blobs and 0 manifests eligible for deletion/);
    }),
  );
});

describe.each(["beside a running server", "alone"])("verify and reindex %s", (where) => {
  const prepared = (body: (sandbox: Sandbox) => Promise<void>): (() => Promise<void>) =>
    withSandbox(async (sandbox) => {
      const server = await sandbox.start();
      await new PushClient(server.url).push(repository, "kept", kept);
      if (where === "alone") expect(await server.stop()).toBe(0);
      await body(sandbox);
    });

  test(
    "verify exits with 0 on a clean root, with --hash too",
    prepared(async (sandbox) => {
      for (const args of [["verify"], ["verify", "--hash"]]) {
        const result = await sandbox.command(...args);
        expect(result.exitCode, outputOf(result)).toBe(0);
      }
    }),
  );

  test(
    "verify names a blob whose bytes are gone, and exits with 1",
    prepared(async (sandbox) => {
      const digest = kept.layers[0]?.digest ?? "";
      await rm(blobPath(sandbox, digest));
      const result = await sandbox.command("verify");
      expect(result.exitCode).toBe(1);
      expect(outputOf(result)).toContain(digest);
    }),
  );

  test(
    "verify --hash names a blob whose bytes changed, and exits with 1",
    prepared(async (sandbox) => {
      const digest = kept.layers[0]?.digest ?? "";
      const bytes = await readFile(blobPath(sandbox, digest));
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      await writeFile(blobPath(sandbox, digest), bytes);
      expect((await sandbox.command("verify")).exitCode).toBe(0);
      const result = await sandbox.command("verify", "--hash");
      expect(result.exitCode).toBe(1);
      expect(outputOf(result)).toContain(digest);
    }),
  );

  test(
    "verify --hash --repair: altered bytes answer 404, never as what they are not, until they are pushed",
    prepared(async (sandbox) => {
      const digest = kept.layers[0]?.digest ?? "";
      const bytes = await readFile(blobPath(sandbox, digest));
      const altered = Uint8Array.from(bytes, (byte, at) => (at === 100 ? byte ^ 1 : byte));
      await writeFile(blobPath(sandbox, digest), altered);
      const result = await sandbox.command("verify", "--hash", "--repair");
      expect(result.exitCode).toBe(1);
      expect(result.stdout).toContain(`push ${repository}:kept again`);
      if (where === "alone") expect(result.stderr).toMatch(/msg=audit action=repair by=\S+ from=/);
      const quarantined = join(sandbox.root, "plimsoll/quarantine/sha256", digest.slice(7));
      expect(new Uint8Array(await readFile(quarantined))).toEqual(altered);

      if (where === "alone") await sandbox.start();
      const http = new PushClient(`http://${sandbox.host}`);
      const blob = `/v2/${repository}/blobs/${digest}`;
      for (const method of ["HEAD", "GET"]) await http.send(blob, { method, expect: [404] });
      await http.push(repository, "kept", kept);
      expect((await http.pull(repository, "kept")).digest).toBe(kept.manifest.digest);
      const again = await sandbox.command("verify", "--hash", "--repair");
      expect(again.exitCode, outputOf(again)).toBe(0);
      expect(again.stdout).toContain(`quarantined-file: /plimsoll/quarantine/sha256/`);
      expect(new Uint8Array(await readFile(quarantined))).toEqual(altered);
    }),
  );

  test(
    "verify --json prints a document a line, the summary last; --resume wants --hash",
    prepared(async (sandbox) => {
      await rm(blobPath(sandbox, kept.layers[0]?.digest ?? ""));
      const result = await sandbox.command("verify", "--json");
      expect(result.exitCode).toBe(1);
      const lines = result.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown);
      expect(lines[0]).toMatchObject({ kind: "finding", finding: { kind: "missing-blob" } });
      expect(lines.at(-1)).toMatchObject({ kind: "summary", report: { isSound: false } });
      const resumed = await sandbox.command("verify", "--resume");
      expect(resumed.exitCode).toBe(1);
      expect(resumed.stderr).toContain("--hash");
    }),
  );

  test(
    "reindex keeps every tag",
    prepared(async (sandbox) => {
      const result = await sandbox.command("reindex");
      expect(result.exitCode, outputOf(result)).toBe(0);
      if (where === "alone") await sandbox.start();
      const http = new PushClient(`http://${sandbox.host}`);
      expect((await http.pull(repository, "kept")).digest).toBe(kept.manifest.digest);
      expect(await sandbox.command("verify")).toMatchObject({ exitCode: 0 });
    }),
  );
});

function blobPath(sandbox: Sandbox, digest: string): string {
  const hex = digest.slice("sha256:".length);
  return join(sandbox.tree, "blobs/sha256", hex.slice(0, 2), hex, "data");
}
