import { expect, test } from "bun:test";
import { HealthMonitor } from "./health-monitor.ts";

test("the log hears once of a check that fails, and once that it passes again", () => {
  const said: string[] = [];
  const monitor = new HealthMonitor({
    error: (message) => said.push(`error ${message}`),
    info: (message) => said.push(`info ${message}`),
  });
  let failing: Record<string, string> = {};
  monitor.add({ start: () => undefined, stop: () => undefined, failing: () => failing });
  const heard = (now: Record<string, string>): string[] => {
    failing = now;
    monitor.tellChanges();
    return said.splice(0);
  };
  expect(heard({})).toEqual([]);
  expect(heard({ storagedriver: "EIO: i/o error" })).toEqual([
    "error health check storagedriver fails: EIO: i/o error; requests to /v2/ are answered 503 until it passes",
  ]);
  expect(heard({ storagedriver: "EIO: i/o error, again", "/out": "file exists" })).toEqual([
    "error health check /out fails: file exists; requests to /v2/ are answered 503 until it passes",
  ]);
  expect(heard({ "/out": "file exists" })).toEqual([
    "info health check storagedriver passes again",
  ]);
  monitor.replace([]);
  monitor.tellChanges();
  // What is not looked at any more does not pass.
  expect(said).toEqual([]);
});
