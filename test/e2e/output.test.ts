// Where nobody reads what is said, or it goes to a full disk: a server serves all the same, a command
// says so and fails.
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { makeImage } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { productCommand, run } from "../support/registry-process.ts";
import { withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const image = makeImage("output", [4096]);
const shell = (script: string, ...args: string[]) => run(["sh", "-c", script, "sh", ...args]);

// Linux alone has a device that is always full.
test.if(existsSync("/dev/full"))(
  "a server whose output goes to a full disk serves, and a command beside it works",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start({ logPath: "/dev/full" });
    expect(await sandbox.command("verify")).toMatchObject({ exitCode: 0 });
    const http = new PushClient(server.url);
    await http.push("team/app", "latest", image);
    expect((await http.pull("team/app", "latest")).digest).toBe(image.manifest.digest);
    expect(await server.stop()).toBe(0);
  }),
);

test(
  "a server whose reader has gone serves",
  withSandbox(async (sandbox) => {
    const pidPath = join(sandbox.directory, "pid");
    // The reader ends at once; the shell waits for the server.
    const script = `pid="$1"; shift; { "$@" 2>&1 & echo $! > "$pid"; wait; } | true`;
    const ended = shell(script, pidPath, ...productCommand, "serve", sandbox.configPath);
    const http = new PushClient(`http://${sandbox.host}`);
    while ((await statusOf(`http://${sandbox.host}/v2/`)) !== 200) await Bun.sleep(5);
    expect(await sandbox.command("verify")).toMatchObject({ exitCode: 0 });
    expect(await http.statusOf("/v2/")).toBe(200);
    process.kill(Number(await readFile(pidPath, "utf8")), "SIGTERM");
    await ended;
  }),
);

test.if(existsSync("/dev/full"))(
  "a command whose output goes to a full disk says so in one line, and exits with 1",
  withSandbox(async (sandbox) => {
    const script = `"$@" > /dev/full`;
    for (const command of ["garbage-collect", "verify", "config"]) {
      const result = await shell(script, ...productCommand, command, sandbox.configPath);
      expect([command, result.exitCode]).toEqual([command, 1]);
      expect(result.stderr).toContain("registry: standard output cannot be written: ");
      expect(result.stderr).not.toContain("    at ");
    }
  }),
);

/** Null while nothing listens there. */
async function statusOf(url: string): Promise<number | null> {
  try {
    return (await fetch(url, { keepalive: false })).status;
  } catch {
    // Refused: it does not listen yet.
    return null;
  }
}
