// What is delivered for Prometheus, and what the registry answers it, by Prometheus' own judgement.
import { join } from "node:path";
import { expect, test } from "bun:test";

import { freePort, repositoryRoot, run, runOk } from "../support/registry-process.ts";
import { describeWith } from "./clients.ts";
import { outputOf, withSandbox } from "./sandbox.ts";

const delivered = join(repositoryRoot, "deploy/prometheus");

describeWith(["promtool"], "promtool", () => {
  test.each([
    { command: "check config prometheus.yml" },
    { command: "check rules alerts.yml" },
    { command: "test rules alerts.test.yml" },
  ])("$command", async ({ command }) => {
    const result = await run(["promtool", ...command.split(" ")], { cwd: delivered });
    expect(outputOf(result)).toContain("SUCCESS");
    expect(result.exitCode).toBe(0);
  });

  test(
    "check metrics finds nothing to say",
    withSandbox(async (sandbox) => {
      const debug = `127.0.0.1:${await freePort()}`;
      const env = {
        REGISTRY_HTTP_DEBUG_ADDR: debug,
        REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED: "true",
      };
      await sandbox.start({ env });
      await (await fetch(`http://${sandbox.host}/v2/a/manifests/x`)).text();
      const metrics = join(sandbox.directory, "metrics.txt");
      await Bun.write(metrics, await fetch(`http://${debug}/metrics`));
      await runOk(["grep", "plimsoll_http_requests_total", metrics]);
      const result = await run(["sh", "-c", `promtool check metrics < '${metrics}'`]);
      expect([result.exitCode, outputOf(result).trim()]).toEqual([0, ""]);
    }),
  );
});
