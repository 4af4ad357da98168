import { describe, expect, test } from "bun:test";
import type { LimitsConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { limitsToClassic } from "./limits-section.ts";
import { loadConfig } from "./load.ts";

function load(limits: string): LimitsConfig {
  const text = `version: 0.1\nstorage: inmemory\nhttp: {limits: ${limits}}\n`;
  const { config, warnings } = loadConfig({ path: "c", env: {}, readFile: () => text });
  expect(warnings).toEqual([]);
  return config.http.limits;
}

describe("http.limits", () => {
  test("every key", () => {
    const limits = load(`{
      address: {requests: 100, burst: 300, uploads: 4, receive: 10MB/s, send: 20MiB},
      user: {requests: 10, uploads: 2, receive: 0, send: 1kB},
      logins: {failures: 5, window: 1m},
      idletimeout: 1m, minrate: 10kB, grace: 30s,
      blobsize: 20GB, manifestsize: 1MiB, references: 500, nesting: 20, indexes: 3, tags: 10, sessions: 7}`);
    expect(limits).toEqual({
      address: {
        requests: { perSecond: 100, burst: 300 },
        uploadsMax: 4,
        receiveBytesPerSecond: 10_000_000,
        sendBytesPerSecond: 20 * 2 ** 20,
      },
      user: {
        requests: { perSecond: 10, burst: 50 },
        uploadsMax: 2,
        receiveBytesPerSecond: null,
        sendBytesPerSecond: 1_000,
      },
      logins: { failuresMax: 5, windowMs: 60_000 },
      idleMs: 60_000,
      slow: { bytesPerSecondMin: 10_000, graceMs: 30_000 },
      blobBytesMax: 20_000_000_000,
      manifestBytesMax: 2 ** 20,
      referencesMax: 500,
      nestingMax: 20,
      indexLevelsMax: 3,
      tagParametersMax: 10,
      sessionsMax: 7,
    });
    expect(load(JSON.stringify(limitsToClassic(limits)))).toEqual(limits);
  });

  test("nothing given: the defaults; 0 switches off", () => {
    expect(load("{}")).toEqual(defaults.http.limits);
    expect(
      load(
        "{address: {requests: 0}, logins: {failures: 0}, idletimeout: 0, minrate: 0, blobsize: 0, sessions: 0, indexes: 0}",
      ),
    ).toMatchObject({
      address: { requests: null },
      logins: { failuresMax: 0 },
      idleMs: 0,
      slow: { bytesPerSecondMin: null },
      blobBytesMax: null,
      sessionsMax: null,
      indexLevelsMax: null,
    });
  });

  test.each([
    ["{address: {requests: -1}}", "http.limits.address.requests"],
    ["{user: {burst: 5}}", 'http.limits.user.burst: "5" is not valid; expected 0, or requests'],
    ["{address: {send: fast}}", 'send: "fast" is not valid; expected bytes a second such as 20MB'],
    ["{idletimeout: 256s}", "expected a duration from 1s to 255s"],
    ["{idletimeout: 500ms}", "expected a duration from 1s to 255s"],
    ["{grace: 0}", "http.limits.grace"],
    ["{manifestsize: 5MiB}", "expected an amount of bytes from 1kB to 4MiB"],
    ["{references: 10001}", "expected a whole number from 1 to 10000"],
    ["{nesting: 65}", "expected a whole number from 1 to 64"],
    ["{tags: 0}", "expected a whole number from 1 to 1000"],
    ["{logins: {window: 0}}", "http.limits.logins.window"],
  ])("%s is refused", (limits, message) => {
    expect(() => load(limits)).toThrow(message);
  });
});
