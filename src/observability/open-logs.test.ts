import { expect, test } from "bun:test";
import { join } from "node:path";

const room = JSON.stringify(join(import.meta.dir, "index.ts"));
const open = `
  import { openLogs } from ${room};
  const options = { level: "info", formatter: "text", version: "1.2.3" };
  const logs = openLogs({ ...options, fields: { team: "a" }, accessLogDisabled: false });
  const entry = {
    timeMs: 0, remoteAddress: "::1", method: "GET", uri: "/", status: 200,
    writtenBytes: 0, referer: "", userAgent: "",
  };
`;

function run(script: string): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  const command = [process.execPath, "--eval", open + script];
  return Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

test("what was logged just before the exit is written, to the right descriptor", async () => {
  const child = run(`
    logs.logger.info("listening");
    logs.logger.debug("not this");
    logs.accessLog.write(entry);
    process.exit(3);
  `);
  const stdout = await new Response(child.stdout).text();
  const stderr = await new Response(child.stderr).text();
  expect(await child.exited).toBe(3);
  expect(stdout).toBe('::1 - - [01/Jan/1970:00:00:00 +0000] "GET / HTTP/1.1" 200 0 "" ""\n');
  expect(stderr).toMatch(
    /^time="\S+" level=info msg=listening instance\.id=[0-9a-f-]{36} service=registry team=a version=1\.2\.3\n$/,
  );
});

test("a reader that goes away stops neither the process nor its other log", async () => {
  const child = run(`
    for (let round = 0; round < 200; round++) {
      for (let count = 0; count < 100; count++) logs.accessLog.write(entry);
      await logs.flush();
    }
    logs.logger.info("still here");
  `);
  await child.stdout.cancel();
  const stderr = await new Response(child.stderr).text();
  expect(await child.exited).toBe(0);
  expect(stderr).toContain('msg="still here"');
});

test("nothing is lost or out of order under load", async () => {
  const child = run(`
    for (let count = 0; count < 20_000; count++) {
      logs.accessLog.write({ ...entry, status: count });
      if (count % 500 === 0) await Bun.sleep(0);
    }
    await logs.flush();
  `);
  const stdout = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  const numbers = stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => Number(line.split('" ')[1]?.split(" ")[0]));
  expect(numbers).toEqual(Array.from({ length: 20_000 }, (_, at) => at));
});
