import { describe, expect, test } from "bun:test";
import type { Config } from "./config.ts";
import { loadConfig } from "./load.ts";
import type { LoadedConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

function load(text: string): LoadedConfig {
  return loadConfig({ path: "config.yml", env: {}, readFile: () => text });
}

/** Bun calls two expressions with slashes in them different, however equal. */
function comparable(config: Config): unknown {
  return JSON.parse(
    JSON.stringify(config, (_, value: unknown) =>
      value instanceof RegExp ? String(value) : value,
    ),
  );
}

describe("renderConfig", () => {
  test("what it prints is read back as the same configuration", () => {
    const { config } = load(`version: 0.1
storage: {filesystem: {rootdirectory: "/data: x"}, delete: {enabled: true}}
log: {fields: {a: "true", b: "1"}, level: debug}
http: {addr: "[::1]:80", prefix: /p/, host: "https://x", headers: {X: ["#"]}, debug: {addr: ":1"}, trustedproxies: ["fd00::/8", 10.0.0.1]}
validation: {manifests: {urls: {allow: ["(?i)^HTTPS://x\\\\z"]}}}
index: {path: /index.db}
gc: {grace: 90m}
`);
    const again = load(renderConfig(config));
    expect(again.warnings).toEqual([]);
    expect(comparable(again.config)).toEqual(comparable(config));
    expect(again.config.validation.manifests.urls.allow[0]?.test("https://x")).toBe(true);
  });

  test("a configuration of defaults is read back as the same", () => {
    const { config } = load("version: 0.1\nstorage: inmemory");
    expect(load(renderConfig(config)).config).toEqual(config);
  });

  test("a unix socket is read back as the same", () => {
    const { config } = load("version: 0.1\nstorage: inmemory\nhttp: {net: unix, addr: /r.sock}");
    expect(load(renderConfig(config)).config.http.listen).toEqual({
      kind: "unix",
      path: "/r.sock",
    });
  });

  test.each(["https://x", "https://x/a/b/"])("http.host %s is read back as the same", (host) => {
    const { config } = load(`version: 0.1\nstorage: inmemory\nhttp: {host: "${host}"}`);
    const again = load(renderConfig(config));
    expect(again.config.http.host).toBe(host.replace(/\/$/, ""));
    expect(again.warnings).toEqual([]);
  });

  test("secrets are masked", () => {
    const { config } = load(`version: 0.1
storage: inmemory
log: {fields: {apikey: hunter2}}
http: {secret: hunter2, headers: {X-Token: [hunter2], Authorization: hunter2}}
`);
    const text = renderConfig(config);
    expect(text).not.toContain("hunter2");
    expect(text.match(/\*{8}/g)).toHaveLength(4);
  });

  test("whatever is sent to others' servers is masked", () => {
    const { config } = load(`version: 0.1
storage: inmemory
health: {http: [{uri: "http://me:hunter2@a/up?x=hunter2", headers: {X-Any: [hunter2]}}]}
notifications:
  endpoints:
    - {name: a, url: "https://a/hook?sig=hunter2&b=hunter2#c", headers: {X-Hook: [hunter2, hunter2], Authorization: hunter2}}
`);
    const text = renderConfig(config);
    expect(text).not.toContain("hunter2");
    expect(text).toContain("X-Hook:");
  });
});
