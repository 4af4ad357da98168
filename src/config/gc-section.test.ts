import { describe, expect, test } from "bun:test";
import { problemsIn } from "../../test/config/problems.ts";
import type { GcConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { loadConfig } from "./load.ts";
import { renderConfig } from "./render.ts";
import { formatDailyWindow, parseDailyWindow } from "./time-window.ts";

const head = "version: 0.1\nstorage: inmemory\n";

function gcOf(section: string, env: Record<string, string> = {}): GcConfig {
  return loadConfig({ path: "c.yml", env, readFile: () => head + section }).config.gc;
}

function problemOf(section: string): string {
  return problemsIn(() => gcOf(section)).join("\n");
}

describe("gc", () => {
  test("without a section: the defaults", () => {
    expect(gcOf("")).toEqual(defaults.gc);
  });

  test("every key", () => {
    const gc = gcOf(`gc:
  enabled: false
  interval: 5m
  grace: 2h
  keepdeleted: 48h
  untagged: {delete: true, olderthan: 168h}
  window: "22:30-04:00"
  timezone: Europe/Berlin
  maxduration: 30m
  maxrate: 50
`);
    expect(gc).toEqual({
      enabled: false,
      intervalMs: 300_000,
      graceMs: 7_200_000,
      keepDeletedMs: 172_800_000,
      untagged: { delete: true, olderThanMs: 604_800_000 },
      window: { startMinute: 1350, endMinute: 240 },
      timeZone: "Europe/Berlin",
      durationMsMax: 1_800_000,
      blobsPerSecondMax: 50,
    });
  });

  test("what is printed can be read back", () => {
    const config = loadConfig({
      path: "c.yml",
      env: {},
      readFile: () => `${head}gc: {window: "01:00-05:00", timezone: Asia/Tokyo, maxrate: 7}\n`,
    }).config;
    const readFile = (): string => renderConfig(config);
    expect(loadConfig({ path: "c.yml", env: {}, readFile }).config.gc).toEqual(config.gc);
  });

  test("by variables", () => {
    const env = { REGISTRY_GC_UNTAGGED_DELETE: "true", REGISTRY_GC_WINDOW: "01:00-05:00" };
    expect(gcOf("", env)).toMatchObject({
      untagged: { delete: true },
      window: { startMinute: 60, endMinute: 300 },
    });
  });

  test.each([
    ["window: 1-5", "gc.window", "daily window such as 01:00-05:00"],
    ["window: 25:00-05:00", "gc.window", "daily window"],
    ["window: 05:00-05:00", "gc.window", "daily window"],
    ["timezone: Mars/Olympus", "gc.timezone", "name of a time zone"],
    ["maxrate: -1", "gc.maxrate", "whole number, 0 or more"],
    ["interval: 0s", "gc.interval", "more than 0"],
    ["keepdeleted: soon", "gc.keepdeleted", "a duration"],
  ])("%s: key, value, what was expected, line", (line, key, expected) => {
    const problem = problemOf(`gc:\n  ${line}\n`);
    expect(problem).toContain("line 4: ");
    expect(problem).toContain(key);
    expect(problem).toContain(line.slice(line.indexOf(": ") + 2));
    expect(problem).toContain(expected);
  });

  test("a window to midnight", () => {
    const window = parseDailyWindow("20:00-24:00");
    expect(window).toEqual({ startMinute: 1200, endMinute: 0 });
    expect(formatDailyWindow({ startMinute: 1200, endMinute: 0 })).toBe("20:00-00:00");
    expect(parseDailyWindow("00:00-24:00")).toBeNull();
  });
});
