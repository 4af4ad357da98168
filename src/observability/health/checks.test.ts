// What a check is called shows no secret: the debug address shows it to everybody who reaches it.
import { expect, test } from "bun:test";
import { startServed } from "../../../test/observability/served.ts";

test("neither the login nor a secret parameter of a URL is shown", async () => {
  const uri = "http://me:hunter2@127.0.0.1:1/up?token=hunter2&part=1";
  await using served = await startServed(
    `health: {http: [{uri: "${uri}", interval: 20ms, timeout: 1s, threshold: 1}]}`,
  );
  let text = "{}";
  for (let n = 0; n < 100 && text === "{}"; n++) {
    await Bun.sleep(20);
    text = await (await fetch(`${served.debugOrigin}/debug/health`)).text();
  }
  expect(text).toContain("127.0.0.1:1/up?token=********&part=1");
  expect(text).not.toContain("hunter2");
});
