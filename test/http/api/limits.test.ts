// The limits for clients hold for the API, too, in its own form: a request there counts as one elsewhere.
import { expect, test } from "bun:test";
import { startServed } from "./served.ts";

test("requests of the API and of the OCI endpoints are counted together", async () => {
  // One has been made by the helper, for the description.
  await using served = await startServed({
    http: { limits: { address: { requests: 1, burst: 4 } } },
  });
  const { origin } = served;
  expect((await served.ask("/")).status).toBe(200);
  expect((await fetch(`${origin}/v2/`)).status).toBe(200);
  expect((await served.ask("/")).status).toBe(200);
  const refused = await served.ask("/");
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("1");
  const { error } = (await refused.json()) as { error: { code: string; detail: unknown } };
  expect(error).toMatchObject({
    code: "TOOMANYREQUESTS",
    detail: { limit: "address.requests" },
  });
  expect((await fetch(`${origin}/v2/`)).status).toBe(429);
  expect((await fetch(`${origin}/livez`)).status).toBe(200);
});
