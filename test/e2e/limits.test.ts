// `http.limits` as real clients meet them: what is refused for a moment is asked for again, what has to
// wait arrives, and nothing that a client does in its usual hurry is refused by the defaults.
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { makeImage, writeLayout } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { freePort, run, runOk } from "../support/registry-process.ts";
import { describeWith } from "./clients.ts";
import { outputOf, replaceInConfig, type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(240_000);

const image = makeImage("limits/image", [200_000, 200_000, 200_000, 200_000, 200_000, 200_000]);

async function startWith(sandbox: Sandbox, limits: string): Promise<string> {
  const metrics = `127.0.0.1:${await freePort()}`;
  await replaceInConfig(
    sandbox,
    "\nhttp:\n",
    `\nhttp:\n limits: ${limits}\n debug: {addr: "${metrics}", prometheus: {enabled: true}}\n`,
  );
  await sandbox.start();
  await writeLayout(join(sandbox.directory, "layout"), { image });
  return `http://${metrics}/metrics`;
}

async function refusedFor(metricsUrl: string, limit: string): Promise<number> {
  const text = await (await fetch(metricsUrl)).text();
  const line = text.split("\n").find((one) => one.includes(`http_refused_total{limit="${limit}"}`));
  return Number(line?.split(" ").at(-1) ?? 0);
}

function skopeo(sandbox: Sandbox, from: string, to: string): string[] {
  return [
    "skopeo",
    "--insecure-policy",
    "copy",
    "--src-tls-verify=false",
    "--dest-tls-verify=false",
    from.replace("SANDBOX", sandbox.directory),
    to.replace("SANDBOX", sandbox.directory),
  ];
}

describeWith(["skopeo"], "skopeo", () => {
  test(
    "asks again after a 429, and pushes and pulls a whole image through a narrow limit",
    withSandbox(async (sandbox) => {
      const metrics = await startWith(sandbox, "{address: {requests: 2, burst: 8}}");
      const name = `docker://${sandbox.host}/team/app:v1`;
      await runOk(skopeo(sandbox, "oci:SANDBOX/layout:image", name));
      await runOk(skopeo(sandbox, name, "oci:SANDBOX/pulled:image"));
      expect(await refusedFor(metrics, "address.requests")).toBeGreaterThan(0);
    }),
  );

  test(
    "pushes six layers through one upload at a time, and a narrow line",
    withSandbox(async (sandbox) => {
      const limits = "{address: {uploads: 1, receive: 600kB, send: 2MB}}";
      const metrics = await startWith(sandbox, limits);
      const name = `docker://${sandbox.host}/team/app:v1`;
      const begunMs = performance.now();
      await runOk(skopeo(sandbox, "oci:SANDBOX/layout:image", name));
      expect(performance.now() - begunMs).toBeGreaterThan(1_200);
      await runOk(skopeo(sandbox, name, "oci:SANDBOX/pulled:image"));
      const http = new PushClient(`http://${sandbox.host}`);
      const pulled = await http.pull("team/app", "v1");
      expect(pulled.digest).toBe(image.manifest.digest);
      expect(await refusedFor(metrics, "address.uploads")).toBe(0);
    }),
  );

  test(
    "shows the reason when a layer is too large",
    withSandbox(async (sandbox) => {
      await startWith(sandbox, "{blobsize: 100kB}");
      const name = `docker://${sandbox.host}/team/app:v1`;
      const result = await run(skopeo(sandbox, "oci:SANDBOX/layout:image", name));
      expect(result.exitCode).toBe(1);
      expect(outputOf(result)).toMatch(/http\.limits\.blobsize allows 100000|413/);
    }),
  );
});

test(
  "two hundred pulls at once from one address are nothing that the defaults refuse",
  withSandbox(async (sandbox) => {
    const metrics = await startWith(sandbox, "{}");
    const http = new PushClient(`http://${sandbox.host}`);
    await http.push("team/app", "v1", image);
    const pulls = Array.from({ length: 200 }, () => http.pull("team/app", "v1"));
    for (const { digest } of await Promise.all(pulls)) expect(digest).toBe(image.manifest.digest);
    const text = await (await fetch(metrics)).text();
    expect(text).not.toContain("plimsoll_http_refused_total{");
  }),
);
