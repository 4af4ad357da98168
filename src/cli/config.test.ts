import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runConfig } from "./config.ts";

const directory = mkdtempSync(join(tmpdir(), "config-command-"));
afterAll(() => rmSync(directory, { recursive: true }));

function run(yaml: string, env: Record<string, string> = {}) {
  const path = join(directory, "config.yml");
  writeFileSync(path, yaml);
  const output = { code: -1, stdout: "", stderr: "", path };
  output.code = runConfig(path, {
    env,
    stdout: (text) => (output.stdout += text),
    stderr: (text) => (output.stderr += text),
  });
  return output;
}

test("prints the effective configuration, secrets masked, unknown keys on stderr", () => {
  const env = { REGISTRY_HTTP_SECRET: "hunter2", REGISTRY_FOO: "1" };
  const { code, stdout, stderr, path } = run("version: 0.1\nstorage: inmemory\nlgo: {}\n", env);
  expect(code).toBe(0);
  expect(stdout).toStartWith(
    `# The effective configuration of ${path}, defaults included.\nversion:`,
  );
  expect(stdout).toContain('secret: "********"');
  expect(stdout).toContain("grace: 1h");
  expect(stdout).not.toContain("hunter2");
  expect(stderr).toContain("warning: line 3: lgo is not a known key and is ignored\n");
  expect(stderr).toContain("warning: REGISTRY_FOO: matches no key");
});

test("a wrong configuration prints nothing but what is wrong, and fails", () => {
  const { code, stdout, stderr, path } = run(
    "version: 0.1\nstorage: inmemory\nlog: {level: x}\nb: 1",
  );
  expect(code).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toStartWith("warning: line 4: b is not a known key");
  expect(stderr).toContain(`configuration error in ${path}:\n  line 3: log.level: "x" is not`);
});

test("a file that is not there", () => {
  let stderr = "";
  const missing = join(directory, "missing.yml");
  const io = { env: {}, stdout: () => {}, stderr: (text: string) => void (stderr += text) };
  expect(runConfig(missing, io)).toBe(1);
  expect(stderr).toContain(`configuration error: cannot read ${missing}`);
});
