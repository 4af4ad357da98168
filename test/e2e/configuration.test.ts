// What the command line says before it works on anything: its help, its version, and what it makes of a
// configuration, from outside.
import { existsSync } from "node:fs";
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { registry } from "../support/registry-process.ts";
import { outputOf, replaceInConfig, withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const noEnvironment = { env: { REGISTRY_CONFIGURATION_PATH: "" } };
const classicDefaults = ["/etc/docker/registry/config.yml", "/etc/distribution/config.yml"];

describe("help and version", () => {
  test("--version prints one line with a number", async () => {
    const result = await registry(["--version"]);
    expect(result).toMatchObject({ exitCode: 0 });
    expect(result.stdout.trim()).toMatch(/^.*\d+\.\d+\.\d+.*$/);
  });

  test("--help names the commands and shows examples", async () => {
    const result = await registry(["--help"]);
    expect(result.exitCode).toBe(0);
    expect(result.stdout).toMatch(/example/i);
    for (const command of ["serve", "garbage-collect", "verify", "reindex", "config"]) {
      expect(result.stdout).toContain(command);
    }
  });

  test("each command's --help shows examples, and where the configuration comes from", async () => {
    for (const command of ["serve", "garbage-collect", "verify", "reindex", "config"]) {
      for (const args of [
        [command, "--help"],
        ["help", command],
      ]) {
        const result = await registry(args);
        expect(result.exitCode).toBe(0);
        expect(result.stdout).toContain(`Examples:\n  `);
        expect(result.stdout).toContain(`registry ${command} config.yml`);
        expect(result.stdout).toContain("REGISTRY_CONFIGURATION_PATH");
      }
    }
  });

  test("an unknown command is an error", async () => {
    const result = await registry(["garbage-colect"]);
    expect(result.exitCode).not.toBe(0);
    expect(outputOf(result)).toContain("garbage-colect");
  });
});

describe("configuration", () => {
  test("no path at all: the first of the classic's places, else exit 1, and it says so", async () => {
    const found = classicDefaults.find((path) => existsSync(path));
    const result = await registry(["config"], noEnvironment);
    if (found === undefined) {
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toMatch(/configuration path unspecified/i);
    } else {
      expect(outputOf(result)).toContain(found);
    }
  });

  test("a path where nothing is: exit 1, and it names the path", async () => {
    for (const command of ["serve", "garbage-collect", "verify", "reindex", "config"]) {
      const result = await registry([command, "/nonexistent/config.yml"]);
      expect(result.exitCode).toBe(1);
      expect(result.stderr).toContain("/nonexistent/config.yml");
    }
  });

  test(
    "a wrong value: exit 1, with key, value, what was expected, and the line",
    withSandbox(async (sandbox) => {
      await replaceInConfig(sandbox, "enabled: true", "enabled: maybe");
      for (const command of ["serve", "garbage-collect"]) {
        const result = await sandbox.command(command);
        expect(result.exitCode).toBe(1);
        expect(result.stderr).toContain("storage.delete.enabled");
        expect(result.stderr).toContain("maybe");
        expect(result.stderr).toMatch(/true|boolean/);
        expect(result.stderr).toMatch(/line 7\b|config\.yml:7\b/);
      }
    }),
  );

  test(
    "a known key that is not built yet: exit 1, and it names the key",
    withSandbox(
      async (sandbox) => {
        const result = await sandbox.command("serve");
        expect(result.exitCode).toBe(1);
        expect(result.stderr).toContain("proxy");
      },
      { more: "proxy:\n  remoteurl: http://127.0.0.1:1\n" },
    ),
  );

  test(
    "config prints what is in effect, masks secrets and names unknown keys",
    withSandbox(
      async (sandbox) => {
        await replaceInConfig(sandbox, "http:\n", "http:\n secret: hunter2hunter2\n");
        const result = await sandbox.command("config");
        expect(result.exitCode, outputOf(result)).toBe(0);
        expect(result.stdout).toContain(sandbox.root);
        expect(outputOf(result)).not.toContain("hunter2hunter2");
        expect(outputOf(result)).toContain("colour");
      },
      { more: "colour: blue\n" },
    ),
  );

  test(
    "an unknown key is a warning at start that names it",
    withSandbox(
      async (sandbox) => {
        const server = await sandbox.start();
        expect(await server.log()).toContain("colour");
        expect(await server.stop()).toBe(0);
      },
      { more: "colour: blue\n" },
    ),
  );
});
