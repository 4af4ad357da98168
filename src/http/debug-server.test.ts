import { expect, test } from "bun:test";
import { answerDebug, type DebugParts } from "./debug-server.ts";

const parts: DebugParts = {
  health: { failing: () => ({}) },
  readiness: { notReady: () => Promise.resolve(null) },
  metrics: null,
  profiles: {
    secondsMax: 60,
    cpu: () => Promise.resolve("cpu"),
    heap: () => Promise.resolve("passwords"),
  },
};

test.each([
  ["127.0.0.1", 200],
  ["::1", 200],
  ["::ffff:127.0.0.1", 200],
  ["10.0.0.7", 403],
  ["fd00::1", 403],
  ["::127.0.0.1", 403],
  ["", 403],
])("a heap snapshot for %p: %p; all else is for everybody", async (peer, status) => {
  for (const method of ["GET", "HEAD"]) {
    const request = new Request("http://x/debug/pprof/heap", { method });
    const reply = await answerDebug(request, peer, parts);
    expect(reply.status).toBe(status);
  }
  const health = await answerDebug(new Request("http://x/debug/health"), peer, parts);
  expect(health.status).toBe(200);
});
