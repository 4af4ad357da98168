import { describe, expect, test } from "bun:test";
import type { Config } from "./config.ts";
import { ConfigError, loadConfig } from "./load.ts";

const minimal = "version: 0.1\nstorage: {filesystem: {rootdirectory: /data}}\n";

function load(
  env: Record<string, string>,
  yaml = minimal,
): { config: Config; warnings: readonly string[] } {
  return loadConfig({ path: "config.yml", env, readFile: () => yaml });
}

describe("variables", () => {
  test("a key of a section", () => {
    const { config, warnings } = load({
      REGISTRY_HTTP_ADDR: "127.0.0.1:6000",
      REGISTRY_LOG_LEVEL: "debug",
      REGISTRY_STORAGE_DELETE_ENABLED: "true",
      REGISTRY_CONFIGURATION_PATH: "/elsewhere",
      OTHER_HTTP_ADDR: ":1",
    });
    expect(config.http.listen).toMatchObject({ port: 6000 });
    expect(config.log.level).toBe("debug");
    expect(config.storage.delete.enabled).toBe(true);
    expect(warnings).toEqual([]);
  });

  const readOnlyForms: [string, Record<string, string>][] = [
    ["a key", { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: "true" }],
    ["JSON", { REGISTRY_STORAGE_MAINTENANCE_READONLY: '{"enabled":true}' }],
    ["YAML of the parent", { REGISTRY_STORAGE_MAINTENANCE: "readonly:\n  enabled: true" }],
  ];
  const withMap = `${minimal.trimEnd().slice(0, -1)}, maintenance: {readonly: {enabled: false}}}\n`;
  test.each(readOnlyForms)(
    "read-only mode as %s, with and without the map in the file",
    (_, env) => {
      expect(load(env).config.storage.maintenance.readOnly.enabled).toBe(true);
      expect(load(env, withMap).config.storage.maintenance.readOnly.enabled).toBe(true);
    },
  );

  test("what is below an empty section", () => {
    const env = { REGISTRY_HEALTH_STORAGEDRIVER_ENABLED: "true", REGISTRY_LOG_FIELDS_TEAM: "a" };
    const { config } = load(env, `${minimal}health:\n storagedriver:\nlog:\n fields:\n`);
    expect(config.health.storageDriver.enabled).toBe(true);
    expect(config.log.fields).toEqual({ team: "a" });
  });

  test("keys of a map: found without regard to case, new ones in lower case", () => {
    const yaml = `${minimal}http: {headers: {X-Old: [a]}}`;
    const env = {
      "REGISTRY_HTTP_HEADERS_X-OLD": '["b"]',
      "REGISTRY_HTTP_HEADERS_X-New": "[c, d]",
      "REGISTRY_HTTP_HEADERS_X-Indexed_0": "e",
    };
    expect(load(env, yaml).config.http.headers).toEqual({
      "X-Old": ["b"],
      "x-new": ["c", "d"],
      "x-indexed": ["e"],
    });
  });

  test("lists by index, one past the end appends", () => {
    const yaml = `${minimal}validation: {manifests: {urls: {allow: [a, b]}}}`;
    const env = {
      REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1: "B",
      REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_2: "c",
      REGISTRY_VALIDATION_MANIFESTS_URLS_DENY_0: "d",
      REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS: "linux",
      REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE: "arm64",
    };
    const { urls, indexes } = load(env, yaml).config.validation.manifests;
    expect(urls.allow.map((pattern) => pattern.source)).toEqual(["a", "B", "c"]);
    expect(urls.deny.map((pattern) => pattern.source)).toEqual(["d"]);
    expect(indexes.platformList).toEqual([{ os: "linux", architecture: "arm64", variant: "" }]);
  });

  test("the whole before its parts, whatever their order", () => {
    const { config } = load({
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: "/other",
      REGISTRY_STORAGE: "filesystem",
      REGISTRY_STORAGE_DELETE_ENABLED: "on",
    });
    expect(config.storage.driver).toEqual({ kind: "filesystem", rootDirectory: "/other" });
    expect(config.storage.delete.enabled).toBe(true);
  });

  test("an empty variable takes the default", () => {
    const { config } = load({ REGISTRY_HTTP_ADDR: "" }, `${minimal}http: {addr: ":1"}`);
    expect(config.http.listen).toMatchObject({ port: 5000 });
  });
});

describe("variables that match nothing are warned about", () => {
  test.each([
    ["REGISTRY_FOO", "matches no key"],
    ["REGISTRY_FOO_BAR", "matches no key"],
    ["REGISTRY_HTTP_FOO_BAR_BAZ", "matches no key"],
    ["REGISTRY_", "matches no key"],
    ["REGISTRY_HTTP__ADDR", "matches no key"],
    ["REGISTRY_AUTH_FILE", "podman, skopeo and buildah"],
    ["REGISTRY_VERSION", "taken from the file only"],
    ["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY_X", "has no effect"],
  ])("%s", (name, text) => {
    const { warnings, config } = load({ [name]: "tcp://10.0.0.1:5000" });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toStartWith(`${name}: `);
    expect(warnings[0]).toContain(text);
    expect(config).toEqual(load({}).config);
  });

  test("the variables that Kubernetes makes of a service named registry", () => {
    const address = "tcp://10.0.0.1:5000";
    const { warnings } = load({
      REGISTRY_PORT: address,
      REGISTRY_PORT_5000_TCP: address,
      REGISTRY_PORT_5000_TCP_ADDR: "10.0.0.1",
      REGISTRY_SERVICE_HOST: "10.0.0.1",
      REGISTRY_SERVICE_PORT: "5000",
    });
    expect(warnings).toHaveLength(5);
  });

  test("an index below an unknown key is only a warning, too", () => {
    expect(load({ REGISTRY_FOO_7_BAR: "1" }).warnings).toHaveLength(1);
  });
});

describe("variables that are wrong name themselves", () => {
  test.each([
    [{ REGISTRY_LOG_LEVEL: "loud" }, 'REGISTRY_LOG_LEVEL: log.level: "loud" is not valid'],
    [{ REGISTRY_HTTP: "{a: b" }, "REGISTRY_HTTP: not valid YAML"],
    [{ REGISTRY_HTTP_HEADERS: "{X: [a]}", REGISTRY_HTTP_HEADERS_X_2: "b" }, "is not an index"],
    [{ REGISTRY_AUTH: "htpasswd" }, "REGISTRY_AUTH: auth.htpasswd.realm is missing"],
    [{ REGISTRY_PROXY_REMOTEURL: "https://x" }, "REGISTRY_PROXY_REMOTEURL: proxy: proxy"],
    [{ REGISTRY_STORAGE_INMEMORY: "{}" }, "found filesystem and inmemory"],
    [{ REGISTRY_STORAGE: "s3", REGISTRY_STORAGE_S3_BUCKET: "b" }, "storage.s3: the storage driver"],
  ])("%p", (env: Record<string, string>, expected) => {
    expect(() => load(env)).toThrow(ConfigError);
    expect(() => load(env)).toThrow(expected);
  });
});
