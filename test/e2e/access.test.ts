// Access control with the real clients: they log in, push, pull, and are refused with words that make
// sense, by password and by the registry's own tokens. And no secret is ever in a log.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { makeImage, writeLayout } from "../support/images.ts";
import { productCommand, run } from "../support/registry-process.ts";
import { type Client, createClient, describeWith } from "./clients.ts";
import { outputOf, type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(120_000);

const image = makeImage("access", [64 * 1024]);

const rules = `access:
  - { repositories: ["public/**"], users: ["*"], actions: [pull] }
  - { repositories: ["public/**", "team-a/**"], users: [alice], actions: [pull, push, delete] }
groups: {}
`;
const secrets = { alice: "correct-horse-battery", mallory: "staple-not-correct" };

const auth = (more: string): string => `auth:
  htpasswd: { realm: basic-realm, path: ./HTPASSWD }
${more}
${rules}`;

/** The users' file stands beside the configuration. */
async function addUsers(sandbox: Sandbox): Promise<void> {
  const path = join(sandbox.directory, "htpasswd");
  const text = await readFile(sandbox.configPath, "utf8");
  await writeFile(sandbox.configPath, text.replace("./HTPASSWD", path));
  for (const [user, password] of Object.entries(secrets)) {
    const added = await htpasswd(["add", path, user], `${password}\n`);
    expect(added).toEqual({ exitCode: 0, stdout: "", stderr: `${user} is added to ${path}\n` });
  }
}

async function htpasswd(
  args: readonly string[],
  stdin: string,
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([...productCommand, "htpasswd", ...args], {
    stdin: new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

/** Through a pipe, as scripts do. */
async function login(client: Client, sandbox: Sandbox, as: readonly [string, string]) {
  const insecure = ["--tls-verify=false", "-u", as[0], "-p", as[1]];
  return await client.command("login", ...insecure, sandbox.host);
}

async function expectNoSecret(sandbox: Sandbox, more: readonly string[] = []): Promise<void> {
  const names = (await readdir(sandbox.directory)).filter((name) => name.endsWith(".log"));
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    const log = await readFile(join(sandbox.directory, name), "utf8");
    expect(log).toContain("/v2/");
    for (const [user, password] of Object.entries(secrets)) {
      expect(log).not.toContain(password);
      expect(log).not.toContain(Buffer.from(`${user}:${password}`).toString("base64").slice(0, -2));
    }
    for (const secret of more) expect(log).not.toContain(secret);
    expect(log).not.toMatch(/\$2[aby]\$|eyJ[\w-]{20,}|Basic [A-Za-z0-9+/=]{6}|Bearer ey/);
  }
}

for (const name of ["skopeo", "podman", "buildah"] as const) {
  for (const [how, more] of [
    ["by password", ""],
    ["by the registry's own tokens", "  issuer: {}"],
  ] as const) {
    describeWith([name], `${name}, ${how}`, () => {
      test(
        "logs in, pushes, pulls, and is refused in words that make sense",
        withSandbox(
          async (sandbox) => {
            await addUsers(sandbox);
            const layout = join(sandbox.directory, "layout");
            await writeLayout(layout, { latest: image });
            const source = `oci:${layout}:latest`;
            await sandbox.start({ firstPath: "/" });
            const [own, open] = [`${sandbox.host}/team-a/app:v1`, `${sandbox.host}/public/app:v1`];
            const client = await createClient(name, sandbox.directory);

            expect(await refusal(client.push(source, own))).toMatch(
              /authentication required|unauthorized|denied: requested access/i,
            );
            const wrong = await login(client, sandbox, ["alice", "wrong"]);
            expect(wrong.exitCode).not.toBe(0);
            expect(outputOf(wrong)).toMatch(/invalid username\/password/i);
            const right = await login(client, sandbox, ["alice", secrets.alice]);
            expect(outputOf(right)).toContain("Login Succeeded");
            await client.push(source, own);
            await client.push(source, open);
            expect((await client.pull(own)).exitCode).toBe(0);

            expect(outputOf(await login(client, sandbox, ["mallory", secrets.mallory]))).toContain(
              "Login Succeeded",
            );
            expect((await client.pull(open)).exitCode).toBe(0);
            const pulled = await client.pull(own);
            expect(pulled.exitCode).not.toBe(0);
            expect(outputOf(pulled)).toMatch(/requested access to the resource is denied/);
            expect(outputOf(pulled)).toContain("mallory may not pull in team-a/app");
            expect(await refusal(client.push(source, open))).toMatch(/denied/);

            expect((await client.command("logout", sandbox.host)).exitCode).toBe(0);
            expect((await client.pull(open)).exitCode).toBe(0);
            expect((await client.pull(own)).exitCode).not.toBe(0);
            await expectNoSecret(sandbox);
          },
          { more: auth(more) },
        ),
      );
    });
  }
}

describeWith(["docker"], "docker, whose login needs no engine", () => {
  for (const [how, more] of [
    ["by password", ""],
    ["by the registry's own tokens", "  issuer: {}"],
  ] as const) {
    test(
      `logs in ${how}, and not with a wrong password`,
      withSandbox(
        async (sandbox) => {
          await addUsers(sandbox);
          await sandbox.start({ firstPath: "/" });
          const directory = join(sandbox.directory, "docker");
          const docker = ["docker", "--config", directory, "login", "-u", "alice", "-p"];
          // Told of no engine, so that it asks the registry itself, whatever else runs here.
          const options = { env: { DOCKER_HOST: `unix://${directory}/none.sock` } };
          const wrong = await run([...docker, "wrong", sandbox.host], options);
          expect(wrong.exitCode).not.toBe(0);
          expect(outputOf(wrong)).toMatch(/401 Unauthorized|unauthorized/);
          const right = await run([...docker, secrets.alice, sandbox.host], options);
          expect(outputOf(right)).toContain("Login Succeeded");
          await expectNoSecret(sandbox);
        },
        { more: auth(more) },
      ),
    );
  }
});

async function refusal(work: Promise<void>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return String(error);
  }
  throw new Error("it was not refused");
}

describe("commands", () => {
  test(
    "robot tokens: made beside the server and without it, used, listed, revoked, never logged",
    withSandbox(
      async (sandbox) => {
        await addUsers(sandbox);
        const rights = ["--user", "ci", "--repositories", "ci/**", "--actions", "pull,push"];
        const early = await sandbox.command("token", "create", ...rights, "--expires", "90d");
        expect(early.exitCode).toBe(0);
        expect(early.stderr).toContain("for ci, expires in 90d");
        const password = early.stdout.trim();
        expect(password).toMatch(/^plimsoll_[0-9a-f]{16}_[\w-]{43}$/);
        const server = await sandbox.start({ firstPath: "/" });
        const late = await sandbox.command("token", "create", ...rights, "--json");
        const made = JSON.parse(late.stdout) as { id: string; password: string; user: string };
        expect(made.user).toBe("ci");
        const begin = async (secret: string): Promise<number> => {
          const headers = {
            Authorization: `Basic ${Buffer.from(`ci:${secret}`).toString("base64")}`,
          };
          const path = `${server.url}/v2/ci/app/blobs/uploads/`;
          return (await fetch(path, { method: "POST", headers })).status;
        };
        expect([await begin(password), await begin(made.password), await begin("x")]).toEqual([
          202, 202, 401,
        ]);
        const listed = await sandbox.command("token", "list");
        expect(listed.stdout.trim().split("\n")).toHaveLength(2);
        expect(listed.stdout).toMatch(
          /^\w{16}  ci  pull,push  ci\/\*\*  expires 20\S+Z  last used 20\S+Z$/m,
        );
        const revoked = await sandbox.command("token", "revoke", made.id);
        expect(revoked.exitCode).toBe(0);
        expect(revoked.stderr).toEndWith(`token ${made.id} is revoked\n`);
        expect([await begin(password), await begin(made.password)]).toEqual([202, 401]);
        expect((await sandbox.command("token", "revoke", made.id)).exitCode).toBe(1);
        const log = await server.log();
        expect(log).toMatch(
          new RegExp(
            `msg=audit action=createToken actions="?pull,push"? .*outcome=created reference=${made.id} repositories="ci/\\*\\*" .*user=ci`,
          ),
        );
        expect(log).toMatch(
          new RegExp(`msg=audit action=revokeToken by=.* outcome=revoked reference=${made.id}`),
        );
        const [, , secret = ""] = /^(plimsoll_\w{16}_)(.*)$/.exec(password) ?? [];
        await expectNoSecret(sandbox, [secret, made.password]);
        // A rebuild of the index knows them still.
        expect(await server.stop()).toBe(0);
        expect((await sandbox.command("reindex")).exitCode).toBe(0);
        expect((await sandbox.command("token", "list")).stdout.trim().split("\n")).toHaveLength(1);
      },
      { more: auth("") },
    ),
  );

  test(
    "flags that make no sense: exit 1, and nothing is made",
    withSandbox(async (sandbox) => {
      for (const [flags, said] of [
        [["--user", "a:b", "--actions", "pull"], "--user"],
        [["--user", "ci", "--actions", "fly"], "--actions"],
        [["--user", "ci", "--actions", "pull"], "--repositories is missing"],
        [["--user", "ci", "--actions", "pull", "--repositories", "a b"], "no glob"],
        [["--user", "ci", "--actions", "admin", "--repositories", "a"], "admin is not about"],
        [["--user", "ci", "--actions", "admin", "--expires", "soon"], "--expires"],
      ] as const) {
        const result = await sandbox.command("token", "create", ...flags);
        expect([result.exitCode, result.stderr]).toEqual([
          1,
          expect.stringContaining(said) as string,
        ]);
      }
      expect((await sandbox.command("token", "list")).stdout).toBe("");
    }),
  );

  test(
    "htpasswd: add, check, remove; the running server takes it in",
    withSandbox(
      async (sandbox) => {
        await addUsers(sandbox);
        const path = join(sandbox.directory, "htpasswd");
        const server = await sandbox.start({ firstPath: "/" });
        const statusAs = async (password: string): Promise<number> => {
          const value = Buffer.from(`bob:${password}`).toString("base64");
          return (
            await fetch(`${server.url}/v2/`, { headers: { Authorization: `Basic ${value}` } })
          ).status;
        };
        expect(await statusAs("first")).toBe(401);
        expect((await htpasswd(["add", path, "bob"], "first\n")).exitCode).toBe(0);
        await until(async () => (await statusAs("first")) === 200);
        expect(await htpasswd(["check", path, "bob"], "first")).toMatchObject({ exitCode: 0 });
        expect(await htpasswd(["check", path, "bob"], "other\n")).toMatchObject({
          exitCode: 1,
          stderr: "the password is wrong\n",
        });
        const changed = await htpasswd(["add", path, "bob"], "second\n");
        expect(changed.stderr).toBe("the password of bob is changed\n");
        await until(async () => (await statusAs("first")) === 401);
        expect(await statusAs("second")).toBe(200);
        expect((await htpasswd(["remove", path, "bob"], "")).exitCode).toBe(0);
        await until(async () => (await statusAs("second")) === 401);
        expect((await htpasswd(["remove", path, "bob"], "")).exitCode).toBe(1);
        expect((await htpasswd(["add", path, "bob"], "")).stderr).toContain(
          "no password was given",
        );
        expect((await htpasswd(["add", join(path, "no"), "bob"], "x\n")).exitCode).toBe(1);
      },
      { more: auth("") },
    ),
  );

  test(
    "no token is made where nobody could log in with it",
    withSandbox(async (sandbox) => {
      const rights = ["--user", "ci", "--repositories", "ci/**", "--actions", "pull"];
      const made = await sandbox.command("token", "create", ...rights);
      expect(made).toMatchObject({ exitCode: 1, stdout: "" });
      expect(made.stderr).toContain("Add auth.htpasswd");
      expect((await sandbox.command("token", "list")).stdout).toBe("");
    }),
  );

  test(
    "the audit says who deleted, and from where",
    withSandbox(
      async (sandbox) => {
        await addUsers(sandbox);
        const server = await sandbox.start({ firstPath: "/" });
        const Authorization = `Basic ${Buffer.from(`alice:${secrets.alice}`).toString("base64")}`;
        for (const path of ["manifests/v1", `blobs/sha256:${"0".repeat(64)}`]) {
          const url = `${server.url}/v2/team-a/app/${path}`;
          const init = { method: "DELETE", headers: { Authorization } };
          expect((await fetch(url, init)).status).toBe(404);
        }
        const lines = async (): Promise<string[]> =>
          (await server.log()).split("\n").filter((line) => line.includes("msg=audit"));
        await until(async () => (await lines()).length === 2);
        for (const line of await lines()) expect(line).toContain("by=alice from=127.0.0.1 ");
      },
      { more: auth("") },
    ),
  );

  test(
    "access check says which rule decides",
    withSandbox(
      async (sandbox) => {
        await addUsers(sandbox);
        const allowed = await sandbox.command("access", "check", "alice", "push", "team-a/app");
        expect(allowed).toMatchObject({
          exitCode: 0,
          stdout:
            "allowed: rule 2 of access: repositories public/**, team-a/**; users alice; actions pull, push, delete\n",
        });
        const denied = await sandbox.command("access", "check", "*", "pull", "team-a/app");
        expect(denied).toMatchObject({ exitCode: 1 });
        expect(denied.stdout).toStartWith(
          "denied: no rule of access lets anybody who is not logged in",
        );
        expect((await sandbox.command("access", "check", "alice", "fly", "a")).stderr).toContain(
          "no action",
        );
        // "config.yml" could be a repository, and other rules would be asked then.
        for (const [args, said] of [
          [["alice", "push"], "push in which repository?"],
          [["alice", "admin", "team-a/app"], "leave the repository out"],
          [["alice", "push", "team-a/app", "team-b/app"], "one repository at a time"],
        ] as const) {
          const asked = await sandbox.command("access", "check", ...args);
          expect(asked).toMatchObject({ exitCode: 1, stdout: "" });
          expect(asked.stderr).toContain(said);
        }
      },
      { more: auth("") },
    ),
  );
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const giveUpMs = Date.now() + 10_000;
  while (!(await isSo())) {
    if (Date.now() > giveUpMs) throw new Error("it did not become so in 10 s");
    await Bun.sleep(50);
  }
}
