// Retention from outside: what the commands print and do beside a running server and alone, what the server
// does by itself, and pulls that are remembered over a restart.
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { digestsOf, makeImage } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import type { Sandbox } from "./sandbox.ts";
import { outputOf, replaceInConfig, storedDigests, withSandbox } from "./sandbox.ts";

setDefaultTimeout(120_000);

const repository = "ci/app";
const images = Array.from({ length: 5 }, (_, n) => makeImage(`retention/${n + 1}`, [2048, 512]));

const rules = (): string => `retention:
  - name: ci-builds
    repositories: ["ci/**"]
    keep: {newest: 2, matching: ["v*"]}
`;

/** build-1 to build-5; build-2 is v1, too. */
async function pushBuilds(url: string): Promise<PushClient> {
  const http = new PushClient(url);
  for (const [n, image] of images.entries()) await http.push(repository, `build-${n + 1}`, image);
  const [, second] = images;
  if (second !== undefined) await http.push(repository, "v1", second);
  return http;
}

interface Summary {
  readonly kind: string;
  readonly tag?: string;
  readonly tags?: number;
  readonly manifests?: number;
  readonly bytesFreed?: number;
  readonly pulledAt?: string | null;
}

async function documents(sandbox: Sandbox, ...args: string[]): Promise<Summary[]> {
  const { stdout, exitCode, stderr } = await sandbox.command("retention", ...args, "--json");
  expect(exitCode, stderr).toBe(0);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Summary);
}

describe("registry retention", () => {
  test(
    "beside a running server: the preview is what is done, and a collection gives the bytes back",
    withSandbox(
      async (sandbox) => {
        const server = await sandbox.start();
        const http = await pushBuilds(server.url);
        const told = await documents(sandbox, "preview");
        const going = told.filter(({ kind }) => kind === "tag").map(({ tag }) => tag);
        // By the time of their push v1 and build-5 are the newest.
        expect(going).toEqual(["build-1", "build-2", "build-3", "build-4"]);
        const text = await sandbox.command("retention", "preview");
        expect(text.stdout).toMatch(/^ci\/app\n {2}build-1 {2}sha256:\w{12} {2}pushed 20/);
        expect(text.stdout).toContain("(the tag alone: its image is needed)");
        expect(text.stdout).toContain("  stays: 2 newest\n");
        expect(text.stdout).toMatch(/would remove 4 tags and 3 manifests in 1 repository; /);
        expect(await http.tags(repository)).toHaveLength(6);
        await sandbox.command("garbage-collect");
        const applied = await documents(sandbox, "apply");
        expect(applied.at(-1)).toMatchObject({ kind: "summary", tags: 4, manifests: 3 });
        expect(await http.tags(repository)).toEqual(["build-5", "v1"]);
        expect((await documents(sandbox, "preview")).at(-1)).toMatchObject({ tags: 0 });
        // What went can be restored until it is collected.
        const { stdout } = await sandbox.command("garbage-collect", "--json");
        const collected = JSON.parse(stdout) as { bytesReclaimed: number };
        expect(collected.bytesReclaimed).toBe(told.at(-1)?.bytesFreed ?? -1);
        const [, second, , , fifth] = images;
        expect(await storedDigests(sandbox)).toEqual(
          [second, fifth].flatMap((image) => (image === undefined ? [] : digestsOf(image))).sort(),
        );
        expect((await http.pull(repository, "v1")).digest).toBe(second?.manifest.digest ?? "");
        expect(await server.stop()).toBe(0);
      },
      { more: rules() },
    ),
  );

  test(
    "alone on the root, and with rules that the server does not have yet",
    withSandbox(
      async (sandbox) => {
        const server = await sandbox.start();
        await pushBuilds(server.url);
        await replaceInConfig(sandbox, "newest: 2", "newest: 4");
        const beside = await documents(sandbox, "preview");
        expect(beside.at(-1)).toMatchObject({ tags: 2 });
        expect(await server.stop()).toBe(0);
        const alone = await documents(sandbox, "preview", "--all", "--rule", "ci-builds");
        expect(alone.filter(({ kind }) => kind === "kept")).toHaveLength(4);
        expect(alone.at(-1)).toMatchObject({ tags: 2 });
        expect((await documents(sandbox, "apply", "--repository", "team/*")).at(-1)).toMatchObject({
          tags: 0,
        });
        expect((await documents(sandbox, "apply", "--repository", "ci/*")).at(-1)).toMatchObject({
          tags: 2,
        });
      },
      { more: rules() },
    ),
  );

  test(
    "pulls are remembered over a restart",
    withSandbox(
      async (sandbox) => {
        const server = await sandbox.start();
        const http = await pushBuilds(server.url);
        await http.pull(repository, "build-1");
        expect(await server.stop()).toBe(0);
        const [first, second] = await documents(sandbox, "preview");
        expect([first?.tag, second?.tag]).toEqual(["build-1", "build-2"]);
        expect(Date.parse(first?.pulledAt ?? "")).toBeGreaterThan(Date.now() - 3_600_000);
        expect(second?.pulledAt).toBeNull();
        // Whatever was pushed lately counts as used.
        await replaceInConfig(sandbox, "newest: 2", "newest: 2, pulledwithin: 14d");
        expect((await documents(sandbox, "preview")).at(-1)).toMatchObject({ tags: 0 });
      },
      { more: rules() },
    ),
  );

  test(
    "the server does it by itself, on the rule's interval, and says so in the log",
    withSandbox(
      async (sandbox) => {
        const server = await sandbox.start();
        const http = await pushBuilds(server.url);
        while ((await http.tags(repository)).length > 2) await Bun.sleep(100);
        expect(await http.tags(repository)).toEqual(["build-5", "v1"]);
        await http.push(repository, "build-6", images[0] as (typeof images)[number]);
        while ((await http.tags(repository)).length > 2) await Bun.sleep(100);
        expect(await http.tags(repository)).toEqual(["build-6", "v1"]);
        expect(await server.stop()).toBe(0);
        expect(await server.log()).toMatch(/msg=retention .*askedBy=interval .*rules=ci-builds/);
      },
      { more: `${rules()}    interval: 1s\n` },
    ),
  );

  test(
    "is refused with a reason",
    withSandbox(
      async (sandbox) => {
        const server = await sandbox.start();
        await pushBuilds(server.url);
        const refused = await sandbox.command("retention", "apply");
        expect(refused.exitCode).toBe(1);
        expect(outputOf(refused)).toContain("storage.delete.enabled");
        expect((await sandbox.command("retention", "preview")).exitCode).toBe(0);
        const unknown = await sandbox.command("retention", "preview", "--rule", "none");
        expect(unknown.exitCode).toBe(1);
        expect(outputOf(unknown)).toContain(
          'no retention rule is named "none"; there are ci-builds',
        );
        const glob = await sandbox.command("retention", "preview", "--repository", "a b");
        expect(glob.exitCode).toBe(1);
        expect(outputOf(glob)).toContain("no glob for names");
        await server.stop();
        const readOnly = " maintenance:\n  readonly:\n   enabled: true\n delete:\n  enabled: true";
        await replaceInConfig(sandbox, " delete:\n  enabled: false", readOnly);
        expect((await sandbox.command("retention", "preview", "--json=true")).exitCode).toBe(0);
        const still = await sandbox.command("retention", "apply");
        expect(still.exitCode).toBe(1);
        expect(outputOf(still)).toContain("read-only mode");
        await replaceInConfig(sandbox, "retention:", "# retention:");
        await replaceInConfig(sandbox, '  - name: ci-builds\n    repositories: ["ci/**"]\n', "");
        await replaceInConfig(sandbox, '    keep: {newest: 2, matching: ["v*"]}\n', "");
        const none = await sandbox.command("retention", "preview");
        expect(none.exitCode).toBe(1);
        expect(outputOf(none)).toContain("the configuration has no retention rules");
      },
      { more: rules(), deletes: false },
    ),
  );
});
