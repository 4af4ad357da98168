// A server in a process of its own that is told, by signal and by command, to take another configuration.
import { expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { productCommand, type RunningRegistry } from "../support/registry-process.ts";
import { type Sandbox, withSandbox } from "./sandbox.ts";

const timeoutMs = 60_000;

/** The sandbox's configuration with these sections behind it; the way back to the one without. */
async function change(sandbox: Sandbox, more: string): Promise<() => Promise<void>> {
  const before = await readFile(sandbox.configPath, "utf8");
  await appendFile(sandbox.configPath, `\n${more}\n`);
  return () => writeFile(sandbox.configPath, before);
}

/** How often the log says so, once it is as often as that. */
async function untilLogged(server: RunningRegistry, text: string, times = 1): Promise<void> {
  const deadlineMs = Date.now() + 20_000;
  for (;;) {
    const found = (await server.log()).split(text).length - 1;
    if (found >= times) return;
    if (Date.now() > deadlineMs) throw new Error(`not in the log: ${text}\n${await server.log()}`);
    await Bun.sleep(10);
  }
}

async function hangUp(server: RunningRegistry, text: string, times = 1): Promise<void> {
  process.kill(server.pid, "SIGHUP");
  await untilLogged(server, text, times);
}

const sha256 = (text: string): string =>
  `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;

const headers = { Authorization: `Basic ${btoa("alice:pw")}` };

async function push(server: RunningRegistry, repository: string, text: string): Promise<number> {
  const url = `${server.url}/v2/${repository}/blobs/uploads/?digest=${sha256(text)}`;
  const response = await fetch(url, { method: "POST", body: text, headers });
  await response.arrayBuffer();
  return response.status;
}

test(
  "SIGHUP applies what can be applied, refuses a bad file, and names what needs a restart",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start();
    expect(await push(server, "a/x", "one")).toBe(201);
    const back = await change(sandbox, 'quotas: [{name: q, repositories: ["a/*"], bytes: 3B}]');
    await hangUp(server, 'msg="configuration reloaded: quotas"');
    expect(await push(server, "a/x", "more")).toBe(403);

    await change(sandbox, "gc: {interval: soon}");
    await hangUp(server, "the configuration was not reloaded, and what it was stays");
    expect(await server.log()).toContain("gc.interval");
    expect(await push(server, "a/x", "more")).toBe(403);

    await back();
    await change(sandbox, "index: {exclusive: true}");
    await hangUp(server, "index.exclusive has changed and needs a restart");
    expect(await push(server, "a/x", "more")).toBe(201);
    expect(await server.stop()).toBe(0);
  }),
  timeoutMs,
);

test(
  "`registry reload` says what became of it, and with what exit code",
  withSandbox(async (sandbox) => {
    expect(await sandbox.command("reload")).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("no server answers for") as string,
    });
    await sandbox.start();
    const back = await change(sandbox, "catalog: {maxentries: 7}\nindex: {exclusive: true}");
    const reloaded = await sandbox.command("reload");
    expect(reloaded).toMatchObject({
      exitCode: 0,
      stdout: "configuration reloaded: catalog.maxentries\n",
    });
    expect(reloaded.stderr).toContain("index.exclusive has changed and needs a restart");
    await back();
    // The command reads it too, to find the server; what the server finds is another thing then.
    const other = join(sandbox.directory, "other.yml");
    await writeFile(other, await readFile(sandbox.configPath));
    await change(sandbox, "gc: {interval: soon}");
    const { registry } = await import("../support/registry-process.ts");
    const refused = await registry(["reload", other]);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain("gc.interval");
  }),
  timeoutMs,
);

test(
  "pushes under load during 20 reloads all succeed",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start();
    const plain = await readFile(sandbox.configPath, "utf8");
    const hash = await Bun.password.hash("pw", { algorithm: "bcrypt", cost: 4 });
    const users = [1, 2].map((n) => join(sandbox.directory, `users-${n}`));
    for (const path of users) await writeFile(path, `alice:${hash}\n`);
    const more = (n: number): string => `
auth: {htpasswd: {realm: r, path: ${users[n % 2]}}${n % 3 === 0 ? ", issuer: {}" : ""}}
access:
  - {repositories: ["nothing-${n}/**"], users: ["*"], actions: [pull]}
  - {repositories: ["load/**"], users: [alice], actions: [pull, push]}
catalog: {maxentries: ${100 + n}}
gc: {interval: ${1 + n}m, grace: ${60 + n}m}
quotas: [{name: q${n}, repositories: ["**"], manifests: ${1000 + n}}]
immutable: [{name: i${n}, repositories: ["none/**"], tags: ["*"]}]
retention: [{name: r${n}, repositories: ["none/**"], tags: ["**"], keep: {newest: 3}}]
log: {level: info, fields: {n: "${n}"}}
notifications: {endpoints: [{name: e${n % 3}, url: "http://127.0.0.1:9/"}]}
`;
    const over = new AbortController();
    let pushed = 0;
    const statuses = new Set<number>();
    const client = async (name: string): Promise<void> => {
      for (let n = 0; !over.signal.aborted; n++) {
        statuses.add(await push(server, `load/${name}`, `${name} ${n}`));
        pushed += 1;
      }
    };
    const clients = ["a", "b", "c", "d"].map(client);
    for (let n = 0; n < 20; n++) {
      await writeFile(sandbox.configPath, plain.replace(/^log:\n.*\n.*\n/m, "") + more(n));
      await hangUp(server, 'msg="configuration reloaded:', n + 1);
    }
    over.abort();
    await Promise.all(clients);
    expect([...statuses]).toEqual([201]);
    expect(pushed).toBeGreaterThan(20);
    expect(await server.stop()).toBe(0);
    expect(await server.log()).not.toContain("level=error");
  }),
  timeoutMs,
);

/** Until its own code runs, and takes the signal: before that the runtime itself starts. */
async function untilItListens(child: ChildProcess): Promise<void> {
  const giveUpMs = Date.now() + 20_000;
  for (;;) {
    // Null: it has ended already, unharmed.
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => null);
    if (status === null || child.exitCode !== null) return;
    const [, caught = "0"] = /^SigCgt:\s*(\w+)$/m.exec(status) ?? [];
    if ((Number.parseInt(caught.at(-1) ?? "0", 16) & 1) === 1) return;
    if (Date.now() > giveUpMs) throw new Error(`SIGHUP is not caught:\n${status}`);
    await Bun.sleep(2);
  }
}

test(
  "SIGHUP ends neither a server that starts or stops nor a command",
  withSandbox(async (sandbox) => {
    const [program = "", ...args] = productCommand;
    const start = (...more: string[]) => {
      const child = spawn(program, [...args, ...more, sandbox.configPath], { stdio: "ignore" });
      const ended = new Promise((resolve) => {
        child.once("exit", (code, signal) => {
          resolve(code ?? signal);
        });
      });
      return { child, ended };
    };
    const commands = ["garbage-collect", "verify"].map((name) => start(name));
    for (const { child, ended } of commands) {
      await untilItListens(child);
      for (let n = 0; n < 20; n++) {
        child.kill("SIGHUP");
        await Bun.sleep(5);
      }
      expect(await ended).toBe(0);
    }
    const { child, ended } = start("serve");
    await untilItListens(child);
    for (let n = 0; n < 40; n++) {
      child.kill("SIGHUP");
      await Bun.sleep(5);
    }
    child.kill("SIGTERM");
    for (let n = 0; n < 10; n++) child.kill("SIGHUP");
    expect(await ended).toBe(0);
  }),
  timeoutMs,
);
