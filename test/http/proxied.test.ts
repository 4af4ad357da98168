// Requests that come through a proxy: whom the logs name.
import { describe, expect, test } from "bun:test";
import { createFakeRegistry } from "./fake-registry.ts";
import { startHarness, textLike } from "./harness.ts";

const throughProxies = { "X-Forwarded-For": "1.1.1.1, 203.0.113.7, 127.0.0.9" };

describe("whom the logs name", () => {
  test("is whom a trusted proxy names", async () => {
    const trustedProxies = { unix: false, networks: [{ address: "127.0.0.0", bits: 8 }] };
    await using harness = await startHarness(createFakeRegistry, { trustedProxies });
    await harness.ask("/v2/", { headers: throughProxies });
    expect(harness.lines.at(-1)?.fields["http.request.remoteaddr"]).toBe("203.0.113.7");
    expect(harness.accesses.at(-1)?.remoteAddress).toBe("203.0.113.7");
  });

  test("is the peer, when it is not trusted", async () => {
    const trustedProxies = { unix: true, networks: [{ address: "203.0.113.0", bits: 24 }] };
    await using harness = await startHarness(createFakeRegistry, { trustedProxies });
    await harness.ask("/v2/", { headers: throughProxies });
    const named = harness.lines.at(-1)?.fields["http.request.remoteaddr"];
    expect(named).toEqual(textLike(/^127\.0\.0\.1:\d+$/));
    expect(harness.accesses.at(-1)?.remoteAddress).toBe("127.0.0.1");
  });
});
