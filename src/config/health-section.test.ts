// `health` and `http.debug.prometheus`: every key, and what is said of those that make no sense.
import { describe, expect, test } from "bun:test";
import { problemsIn } from "../../test/config/problems.ts";
import type { Config } from "./config.ts";
import { loadConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

const head = "version: 0.1\nstorage: inmemory\n";

function load(section: string, env: Record<string, string> = {}) {
  return loadConfig({ path: "c.yml", env, readFile: () => head + section });
}

function problemOf(section: string): string {
  return problemsIn(() => load(section)).join("\n");
}

const everything = `health:
  storagedriver: {enabled: true, interval: 5s, threshold: 3}
  file: [{file: /run/out}, {file: /run/too, interval: 1s}]
  http:
    - uri: http://user:word@one.example/up
      headers: {Authorization: [Basic abc], X-One: a}
      statuscode: 204
      timeout: 3s
      interval: 20s
      threshold: 2
    - {uri: "https://two.example", statuscode: 0, timeout: 1m}
  tcp: [{addr: "redis:6379", timeout: 0s, interval: 0s}, {addr: "[::1]:80", threshold: 4}]
`;

const expected: Config["health"] = {
  storageDriver: { enabled: true, intervalMs: 5_000, threshold: 3 },
  files: [
    { file: "/run/out", intervalMs: 10_000 },
    { file: "/run/too", intervalMs: 1_000 },
  ],
  http: [
    {
      uri: "http://user:word@one.example/up",
      headers: { Authorization: ["Basic abc"], "X-One": ["a"] },
      statusCode: 204,
      timeoutMs: 3_000,
      intervalMs: 20_000,
      threshold: 2,
    },
    {
      uri: "https://two.example",
      headers: {},
      statusCode: 200,
      timeoutMs: 10_000,
      intervalMs: 10_000,
      threshold: 0,
    },
  ],
  tcp: [
    { addr: "redis:6379", timeoutMs: 10_000, intervalMs: 10_000, threshold: 0 },
    { addr: "[::1]:80", timeoutMs: 10_000, intervalMs: 10_000, threshold: 4 },
  ],
};

describe("health", () => {
  test("every key; 0 takes the default, and no try lasts longer than the interval", () => {
    const { config, warnings } = load(everything);
    expect([config.health, warnings]).toEqual([expected, []]);
  });

  test("read back from what is shown, in which nothing is secret", () => {
    const shown = renderConfig(load(everything).config);
    expect(shown).not.toContain("word");
    expect(shown).not.toContain("Basic abc");
    const section = shown.slice(shown.indexOf("\nhealth:"), shown.indexOf("\ncatalog:"));
    const { health } = load(section.replaceAll("********", "x")).config;
    expect([health.storageDriver, health.files, health.tcp]).toEqual([
      expected.storageDriver,
      expected.files,
      expected.tcp,
    ]);
    expect(health.http.map(({ timeoutMs }) => timeoutMs)).toEqual([3_000, 10_000]);
  });

  test("from variables, by the names of the classic's fields", () => {
    const { config } = load("", {
      REGISTRY_HEALTH_FILECHECKERS_0_FILE: "/x",
      REGISTRY_HEALTH_HTTPCHECKERS_0_URI: "http://x/",
      REGISTRY_HEALTH_TCPCHECKERS_0_ADDR: "x:1",
    });
    const { files, http, tcp } = config.health;
    expect([files[0]?.file, http[0]?.uri, tcp[0]?.addr]).toEqual(["/x", "http://x/", "x:1"]);
  });

  test.each([
    ["health: {file: [{}]}", "health.file.0.file is missing; expected the path of a file"],
    ["health: {file: /x}", "health.file"],
    ["health: {http: [{uri: 'ftp://x'}]}", 'health.http.0.uri: "ftp://x" is not valid; expected a'],
    ["health: {http: [{uri: 'http://x', statuscode: 99}]}", "expected an HTTP status such as 200"],
    ["health: {tcp: [{addr: x}]}", 'health.tcp.0.addr: "x" is not valid; expected host:port'],
    ["health: {tcp: [{addr: 'x:70000'}]}", "expected host:port"],
    ["health: {tcp: [{addr: 'x:1', threshold: -1}]}", "expected a whole number, 0 or more"],
  ])("%s", (section, problem) => {
    expect(problemOf(section)).toContain(problem);
  });
});

describe("http.debug.prometheus", () => {
  test("off, and at /metrics, unless something else is said", () => {
    expect(load("").config.http.debug.prometheus).toEqual({ enabled: false, path: "/metrics" });
    const { prometheus } = load(
      "http: {debug: {addr: ':1', prometheus: {enabled: true, path: ''}}}",
    ).config.http.debug;
    expect(prometheus).toEqual({ enabled: true, path: "/metrics" });
  });

  test("without an address it is warned about, and off", () => {
    const { config, warnings } = load("http: {debug: {prometheus: {enabled: true}}}");
    expect(config.http.debug.prometheus.enabled).toBe(false);
    expect(warnings.join()).toContain("has no effect without http.debug.addr");
  });

  test.each(["metrics", "/debug/health", "/livez", "/a b", "/../x"])("not at %s", (path) => {
    const section = `http: {debug: {addr: ':1', prometheus: {enabled: true, path: "${path}"}}}`;
    expect(problemOf(section)).toContain("expected a path such as /metrics");
  });
});
