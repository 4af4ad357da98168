import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Config } from "./config.ts";
import { loadConfig } from "./load.ts";
import { changedKeys, LiveConfig, reloadableKeys, reloadedConfig } from "./reloading.ts";

function load(text: string): Config {
  return loadConfig({ path: "config.yml", env: {}, readFile: () => text }).config;
}

const small = load(
  "version: 0.1\nstorage: {filesystem: {rootdirectory: /a}, watermark: {warn: 50%}}",
);

/** Everything is another than in `small`. */
const other = load(`version: 0.1
log: {level: debug, formatter: json, fields: {a: b}, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: /b}
  delete: {enabled: true}
  watermark: {warn: 60%, collect: 70%, refuse: 80%}
  maxsize: 1GB
  maintenance: {readonly: {enabled: true}, uploadpurging: {enabled: false, age: 1h, interval: 1h, dryrun: true}}
auth: {htpasswd: {realm: r, path: /p}, issuer: {service: s, issuer: i, expiration: 2m, realm: "https://r/"}}
access: [{repositories: ["**"], users: ["group:a"], actions: [pull]}]
groups: {a: [alice]}
http:
  addr: /x
  net: unix
  prefix: /p/
  host: https://h
  relativeurls: true
  secret: s
  headers: {X: ["1"]}
  draintimeout: 1s
  debug: {addr: ":1", prometheus: {enabled: true, path: /m}}
  api: {enabled: false}
  limits: {address: {requests: 5, uploads: 2}, idletimeout: 1m, blobsize: 1GB}
notifications: {endpoints: [{name: a, url: "http://a/"}]}
health:
  storagedriver: {enabled: true, interval: 1s, threshold: 2}
  file: [{file: /f}]
  http: [{uri: "http://h/"}]
  tcp: [{addr: "h:1"}]
catalog: {maxentries: 5}
tags: {maxtags: 5}
validation:
  disabled: true
  manifests: {urls: {allow: [a], deny: [b]}, indexes: {platforms: list, platformlist: [{os: o, architecture: a}]}}
index: {path: /i, exclusive: true}
gc:
  enabled: false
  interval: 1m
  grace: 1m
  keepdeleted: 1m
  untagged: {delete: true, olderthan: 1m}
  window: 01:00-02:00
  timezone: Europe/Berlin
  maxduration: 1m
  maxrate: 3
verify: {scrub: {enabled: true, interval: 1h, rate: 1MB}}
immutable: [{name: i, repositories: ["**"], tags: ["v*"]}]
quotas: [{name: q, repositories: ["**"], bytes: 1GB}]
retention: [{name: r, repositories: ["**"], tags: ["**"], keep: {newest: 3}}]
`);

const isReloadable = (key: string): boolean =>
  reloadableKeys.some((known) => key === known || key.startsWith(`${known}.`));

describe("a configuration that is reloaded", () => {
  test("has everything of the new one that can change, and of the running one what cannot", () => {
    const changed = changedKeys(small, other);
    expect(changed.length).toBeGreaterThan(60);
    const result = reloadedConfig(small, other);
    expect(changedKeys(small, result)).toEqual(changed.filter(isReloadable));
    const restart = changed.filter((key) => !isReloadable(key));
    expect(changedKeys(result, other).toSorted()).toEqual(restart.toSorted());
    expect(restart).toContain("http.addr");
    expect(restart).toContain("storage.maxsize");
  });

  test("every section that can change has changed in this test", () => {
    const changed = changedKeys(small, other);
    for (const key of reloadableKeys) {
      expect({ key, found: changed.some((one) => `${one}.`.startsWith(`${key}.`)) }).toEqual({
        key,
        found: true,
      });
    }
  });

  test("a load line neither begins nor ends while the registry runs", () => {
    const without = load("version: 0.1\nstorage: {filesystem: {rootdirectory: /a}}");
    for (const [from, to] of [
      [small, without],
      [without, small],
    ] as const) {
      const result = reloadedConfig(from, to);
      expect(changedKeys(from, result)).toEqual([]);
      expect(changedKeys(result, to)).toContain("storage.watermark.warn");
    }
  });

  test("what has keys of its own is named whole: there may be thousands of groups", () => {
    const withGroups = (...names: string[]): Config =>
      load(
        `version: 0.1\nstorage: inmemory\nauth: {htpasswd: {realm: r, path: /p}}\naccess: [{repositories: ["**"], users: ["group:${names[0]}"], actions: [pull]}]\ngroups: {${names.map((name) => `${name}: [x]`).join(", ")}}`,
      );
    expect(changedKeys(withGroups("a"), withGroups("a", "b", "c"))).toEqual(["groups"]);
  });

  test("secrets that change are noticed, and only their keys told", () => {
    const withHeader = (secret: string): Config =>
      load(
        `version: 0.1\nstorage: inmemory\nhttp: {secret: ${secret}}\nnotifications: {endpoints: [{name: a, url: "http://u:${secret}@h/", headers: {Authorization: ["${secret}"]}}]}`,
      );
    const changed = changedKeys(withHeader("one"), withHeader("two"));
    expect(changed).toEqual(["http.secret", "notifications.endpoints"]);
    expect(changedKeys(withHeader("one"), withHeader("one"))).toEqual([]);
  });

  test("the documentation names the same keys", () => {
    const text = readFileSync(new URL("../../docs/operating.md", import.meta.url), "utf8");
    const section = /<!-- reloadable -->([\s\S]*?)<!-- \/reloadable -->/.exec(text)?.[1] ?? "";
    const rows = [...section.matchAll(/^\| ((?:`[\w.]+`(?:, )?)+) \|/gm)];
    const named = rows.flatMap(([, keys = ""]) => keys.replaceAll("`", "").split(", "));
    expect(named.toSorted()).toEqual(reloadableKeys.toSorted());
  });
});

test("LiveConfig: whoever asks again sees what is true now", () => {
  const live = new LiveConfig(small);
  const { view } = live;
  expect(Object.keys(view).toSorted()).toEqual(Object.keys(small).toSorted());
  expect(view.gc).toBe(small.gc);
  live.replace(other);
  expect(view.gc).toBe(other.gc);
  expect(view.storage).toBe(other.storage);
});
