// What steering.ts does where the system gives it nothing to go by. That connections go where it says:
// test/http/tls-listener.test.ts.
import { expect, test } from "bun:test";

test.skipIf(process.platform !== "linux")(
  "a listener that took the last descriptor is handed out all the same: somebody has to close it",
  () => {
    const program = `
      import { openSync } from "node:fs";
      import { openSteering } from "${import.meta.dir}/steering.ts";
      const steering = await openSteering();
      if (steering === null) throw new Error("no steering");
      const { descriptor } = steering.open(() => {
        const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
        try {
          for (;;) openSync("/dev/null");
        } catch {}
        return server;
      });
      console.log(descriptor);
      process.exit();
    `;
    const { stdout, stderr } = Bun.spawnSync(
      ["sh", "-c", 'ulimit -n 100 && exec "$0" -e "$1"', process.execPath, program],
      { stdin: "ignore" },
    );
    expect(stdout.toString() + stderr.toString()).toBe("null\n");
  },
);
