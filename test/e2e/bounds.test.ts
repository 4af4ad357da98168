// Immutable tags and quotas, from outside: skopeo is told why, commands heed them, a restart changes nothing.
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { imageOf, makeImage, makeLayer, writeLayout } from "../support/images.ts";
import { PushClient, UnexpectedAnswerError } from "../support/push-client.ts";
import { run } from "../support/registry-process.ts";
import { outputOf, type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(240_000);

const more = `immutable:
  - {name: releases, repositories: ["team/**"], tags: ["v*"]}
quotas:
  - {name: small, repositories: ["team/**"], manifests: 3, bytes: 100kB, contact: ops@example.com}
`;
const first = makeImage("bounds/first", [4096]);
const second = makeImage("bounds/second", [4096]);

async function refusalOf(work: Promise<unknown>): Promise<UnexpectedAnswerError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof UnexpectedAnswerError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

async function expectImmutable(sandbox: Sandbox, http: PushClient): Promise<void> {
  const moved = await refusalOf(http.push("team/app", "v1", second));
  expect([moved.status, moved.codes]).toEqual([403, ["DENIED"]]);
  await http.push("team/app", "v1", first);
  for (const reference of ["v1", first.manifest.digest]) {
    const deleted = await refusalOf(http.deleteManifest("team/app", reference));
    expect(deleted.body).toContain('immutable by the rule \\"releases\\"');
  }
  for (const name of ["team/app:v1", `team/app@${first.manifest.digest}`, "team/app"]) {
    for (const flags of [[], ["--dry-run"]]) {
      const command = await sandbox.command("delete", "--yes", ...flags, name);
      expect(command.exitCode, outputOf(command)).toBe(1);
      expect(outputOf(command)).toContain(
        'the tag v1 of team/app is immutable by the rule "releases"',
      );
    }
  }
  expect((await http.pull("team/app", "v1")).digest).toBe(first.manifest.digest);
}

test(
  "a held tag stays, whoever asks, also after a restart and a rebuild of the index",
  withSandbox(
    async (sandbox) => {
      const server = await sandbox.start();
      const http = new PushClient(server.url);
      await http.push("team/app", "v1", first);
      await expectImmutable(sandbox, http);
      if (Bun.which("skopeo") !== null) {
        const layout = join(sandbox.directory, "layout");
        await writeLayout(layout, { second });
        const copy = ["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false"];
        const target = `docker://${server.host}/team/app:v1`;
        const refused = await run([...copy, `oci:${layout}:second`, target]);
        expect(refused.exitCode).not.toBe(0);
        expect(refused.stderr).toContain("denied: the tag v1 of team/app is immutable");
      }
      expect(await server.stop()).toBe(0);
      expect((await sandbox.command("reindex")).exitCode).toBe(0);
      const again = await sandbox.start();
      await expectImmutable(sandbox, new PushClient(again.url));
      expect(await again.stop()).toBe(0);
      // Whoever takes the rule away may delete it.
      const text = await readFile(sandbox.configPath, "utf8");
      await writeFile(
        sandbox.configPath,
        text.replace("name: releases,", "name: none,").replace('["v*"]', '["none"]'),
      );
      const deleted = await sandbox.command("delete", "team/app:v1");
      expect(deleted.exitCode, outputOf(deleted)).toBe(0);
    },
    { more },
  ),
);

test(
  "a quota refuses what is beyond it, and a restore that would pass it",
  withSandbox(
    async (sandbox) => {
      const server = await sandbox.start();
      const http = new PushClient(server.url);
      const shared = makeLayer("bounds/shared", 20_000);
      const image = (n: number): ReturnType<typeof imageOf> =>
        imageOf([shared], { label: String(n) });
      for (const n of [1, 2, 3]) await http.push("team/b", `t${n}`, image(n));
      const beyond = await refusalOf(http.push("team/b", "t4", image(4)));
      expect([beyond.status, beyond.codes]).toEqual([403, ["DENIED"]]);
      expect(beyond.body).toContain("allows team/b 3 manifests, and with this it would hold 4");
      expect(beyond.body).toContain("for more ask ops@example.com");
      const big = makeImage("bounds/big", [90_000]);
      expect((await refusalOf(http.push("team/b", "big", big))).body).toContain("100,000 bytes");
      // One goes, another comes: then the first cannot come back.
      await http.deleteManifest("team/b", image(1).manifest.digest);
      await http.push("team/b", "t4", image(4));
      const restored = await sandbox.command("restore", "team/b:t1");
      expect(restored.exitCode, outputOf(restored)).toBe(1);
      expect(outputOf(restored)).toContain('the quota "small" allows team/b 3 manifests');
      await http.deleteManifest("team/b", image(2).manifest.digest);
      expect((await sandbox.command("restore", "team/b:t1")).exitCode).toBe(0);
      expect((await http.pull("team/b", "t1")).digest).toBe(image(1).manifest.digest);
      expect(await server.stop()).toBe(0);
    },
    { more },
  ),
);
