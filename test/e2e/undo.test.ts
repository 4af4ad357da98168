// "I deleted the wrong image", from outside: what was deleted is listed and brought back, beside a server and
// without one, before and after a collection; what is gone says so.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestsOf, makeImage } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { outputOf, replaceInConfig, storedDigests, withSandbox } from "./sandbox.ts";

setDefaultTimeout(180_000);

const repository = "team/app";
const wanted = makeImage("undo/wanted", [4096, 1024]);
const other = makeImage("undo/other", [2048]);
const { digest } = wanted.manifest;

interface Listed {
  readonly what: string;
  readonly repository: string;
  readonly digest: string;
  readonly tags: readonly string[];
  readonly deletedBy: string;
  readonly reason: string;
}

function documents<Document>(stdout: string): Document[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Document);
}

test(
  "the wrong image: deleted by a client, listed, collected with -m, restored beside the server",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start();
    const http = new PushClient(server.url);
    await http.push(repository, "v1", wanted);
    await http.push("team/other", "v1", other);
    await http.deleteManifest(repository, "v1");
    await http.deleteManifest(repository, digest);
    expect(await http.statusOf(`/v2/${repository}/manifests/${digest}`)).toBe(404);
    const list = await sandbox.command("restore", "--list", "--json");
    expect(documents<Listed>(list.stdout)).toMatchObject([
      { what: "manifest", repository, digest, tags: [], deletedBy: "127.0.0.1", reason: "client" },
      { what: "tag", repository, digest, tags: ["v1"], reason: "client" },
    ]);
    const elsewhere = await sandbox.command("restore", "--list", "--repository", "other/**");
    expect(elsewhere.stdout).toBe("nothing that was deleted can be restored\n");
    const collected = await sandbox.command("garbage-collect", "-m", "--keep-deleted", "1h");
    expect(collected.exitCode).toBe(0);
    expect(await storedDigests(sandbox)).toEqual(
      [...digestsOf(wanted), ...digestsOf(other)].toSorted(),
    );
    const dry = await sandbox.command("restore", "--dry-run", `${repository}:v1`);
    expect(dry.stdout).toBe(`${repository}@${digest}: would be restored, tags v1, 1 manifest\n`);
    expect(await http.repositories()).toEqual(["team/other"]);
    const restored = await sandbox.command("restore", `${repository}:v1`);
    expect(restored).toMatchObject({ exitCode: 0 });
    expect((await http.pull(repository, "v1")).digest).toBe(digest);
    expect((await sandbox.command("verify")).exitCode).toBe(0);
    expect(await server.stop()).toBe(0);
    // Lines are gathered: after a stop all are there.
    const log = await readFile(join(sandbox.directory, "server-1.log"), "utf8");
    const audit = log.split("\n").filter((line) => line.includes("msg=audit"));
    expect(audit).toHaveLength(3);
    expect(audit[0]).toMatch(/action=delete by=127\.0\.0\.1 .*outcome=deleted .*what=tag/);
    expect(audit[1]).toMatch(/action=delete by=127\.0\.0\.1 .*outcome=deleted .*what=manifest/);
    expect(audit[2]).toMatch(/action=restore .*from="command line" .*outcome=restored/);
  }),
);

test(
  "by command alone: a repository goes and comes back; what a collection let go of is gone",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start();
    const http = new PushClient(server.url);
    await http.push(repository, "v1", wanted);
    await http.push(repository, "v2", other);
    expect(await server.stop()).toBe(0);
    const refused = await sandbox.command("delete", repository);
    expect(refused.exitCode).toBe(1);
    expect(outputOf(refused)).toContain("--yes");
    expect((await sandbox.command("delete", "--dry-run", repository)).stdout).toBe(
      `${repository}: would be deleted, repository with 2 manifests and 2 tags\n`,
    );
    expect((await sandbox.command("delete", "--yes", repository)).exitCode).toBe(0);
    expect((await sandbox.command("restore", repository)).exitCode).toBe(0);
    const again = await sandbox.start();
    const back = new PushClient(again.url);
    expect(await back.tags(repository)).toEqual(["v1", "v2"]);
    expect((await back.pull(repository, "v1")).digest).toBe(digest);
    expect((await sandbox.command("delete", `${repository}@${digest}`)).exitCode).toBe(0);
    await back.push(repository, "v1", other);
    const taken = await sandbox.command("restore", `${repository}@${digest}`);
    expect(taken.exitCode).toBe(0);
    expect(taken.stdout).toContain("tag v1 names");
    expect((await back.pull(repository, "v1")).digest).toBe(other.manifest.digest);
    expect((await sandbox.command("restore", "--force-tags", `${repository}:v1`)).exitCode).toBe(0);
    expect((await back.pull(repository, "v1")).digest).toBe(digest);
    expect((await sandbox.command("delete", `${repository}:v1`)).exitCode).toBe(0);
    expect((await sandbox.command("garbage-collect", "-m")).exitCode).toBe(0);
    const gone = await sandbox.command("restore", `${repository}:v1`);
    expect(gone.exitCode).toBe(1);
    expect(gone.stdout).toMatch(/: it is gone: deleted 20\S+, let go 20\S+ by a collection/);
    expect(await again.stop()).toBe(0);
    expect((await sandbox.command("verify", "--hash")).exitCode).toBe(0);
  }),
);

test(
  "delete is refused where deleting is disabled, and restore in read-only mode",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start();
    const http = new PushClient(server.url);
    await http.push(repository, "v1", wanted);
    expect((await sandbox.command("delete", `${repository}:v1`)).exitCode).toBe(0);
    expect(await server.stop()).toBe(0);
    await replaceInConfig(sandbox, "enabled: true", "enabled: false");
    await replaceInConfig(
      sandbox,
      " cache:",
      " maintenance:\n  readonly: {enabled: true}\n cache:",
    );
    const restored = await sandbox.command("restore", `${repository}:v1`);
    expect(restored.exitCode).toBe(1);
    expect(outputOf(restored)).toContain("read-only");
    await replaceInConfig(sandbox, "readonly: {enabled: true}", "readonly: {enabled: false}");
    expect((await sandbox.command("restore", `${repository}:v1`)).exitCode).toBe(0);
    const deleted = await sandbox.command("delete", `${repository}:v1`);
    expect(deleted.exitCode).toBe(1);
    expect(outputOf(deleted)).toContain("storage.delete.enabled");
    expect((await sandbox.command("restore", `${repository}:v1`)).stdout).toContain("it is there");
  }),
);
