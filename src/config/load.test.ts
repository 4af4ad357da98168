import { describe, expect, test } from "bun:test";
import { defaults } from "./defaults.ts";
import * as fc from "fast-check";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, loadConfig } from "./load.ts";
import type { LoadedConfig } from "./load.ts";

const minimal = "version: 0.1\nstorage: {filesystem: {rootdirectory: /data}}\n";

function load(text: string, env: Record<string, string> = {}): LoadedConfig {
  return loadConfig({ path: "config.yml", env, readFile: () => text });
}

function failureOf(text: string, env: Record<string, string> = {}): ConfigError {
  try {
    load(text, env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
}

describe("files that work as they are", () => {
  test("the tutorial's file, whose indentation slipped", () => {
    const { config, warnings } = load(`version: 0.1
log:
 fields:
 service: registry
storage:
 delete:
  enabled: true
 cache:
  blobdescriptor: inmemory
 filesystem:
  rootdirectory: /var/lib/registry
http:
 addr: :5000
 headers:
  X-Content-Type-Options: [nosniff]
health:
 storagedriver:
 enabled: true
 interval: 10s
 threshold: 3
`);
    expect(config.storage.driver).toEqual({
      kind: "filesystem",
      rootDirectory: "/var/lib/registry",
    });
    expect(config.storage.delete.enabled).toBe(true);
    expect(config.http.listen).toEqual({ kind: "tcp", hostname: null, port: 5000 });
    expect(config.http.headers).toEqual({ "X-Content-Type-Options": ["nosniff"] });
    expect(config.health.storageDriver.enabled).toBe(false);
    expect(warnings).toEqual([
      "line 4: log.service is not a known key and is ignored; if log.fields.service is meant, indent it further",
      "line 18: health.enabled is not a known key and is ignored; if health.storagedriver.enabled is meant, indent it further",
      "line 19: health.interval is not a known key and is ignored; if health.storagedriver.interval is meant, indent it further",
      "line 20: health.threshold is not a known key and is ignored; if health.storagedriver.threshold is meant, indent it further",
    ]);
  });

  test("a file of 2.x with what that had", () => {
    const { config, warnings } = load(`version: 0.1
loglevel: debug
storage:
  inmemory:
  cache: {layerinfo: inmemory, blobdescriptorsize: 10000}
  maintenance: {uploadpurging: {enabled: false}, readonly: {enabled: true}}
  redirect: {disable: true}
  tag: {concurrencylimit: 5}
http: {addr: "localhost:5001", net: tcp, http2: {disabled: true}, tls: {}, debug: {addr: ""}}
auth: none
redis: {db: 0, dialtimeout: 10ms, pool: {maxidle: 16}}
proxy: {username: "", ttl: 168h}
reporting: {bugsnag: {apikey: ""}}
compatibility: {schema1: {enabled: false, signingkeyfile: /key}}
notifications: {endpoints: [{name: off, disabled: true, url: "http://x"}]}
middleware: {storage: [{name: cloudfront, disabled: true}]}
policy: {repository: {classes: []}}
`);
    expect(warnings).toEqual([]);
    expect(config.log.level).toBe("debug");
    expect(config.storage.driver).toEqual({ kind: "inmemory" });
    expect(config.storage.maintenance.readOnly.enabled).toBe(true);
    expect(config.storage.maintenance.uploadPurging).toEqual({
      enabled: false,
      ageMs: 604_800_000,
      intervalMs: 86_400_000,
      dryRun: false,
    });
  });

  test("every key that is honoured", () => {
    const { config, warnings } = load(`version: "0.1"
log:
  level: WARN
  formatter: json
  fields: {service: registry, number: 3}
  accesslog: {disabled: yes}
storage:
  filesystem: {rootdirectory: /data, maxthreads: 100}
  maintenance: {uploadpurging: {age: 1h, interval: 90m, dryrun: true}}
http:
  addr: /run/registry.sock
  net: unix
  prefix: registry
  host: https://registry.example.com/
  relativeurls: true
  secret: s3cret
  headers: {X-One: [a, b], X-Two: c}
  trustedproxies: [10.0.0.0/8, unix]
  draintimeout: 1m
  debug: {addr: "127.0.0.1:5001", prometheus: {enabled: true, path: /m}}
  api: {enabled: false}
health: {storagedriver: {enabled: true, interval: 5s, threshold: 2}}
catalog: {maxentries: 50}
tags: {maxtags: 0}
validation:
  manifests:
    urls: {allow: ["^https:"], deny: ["evil"]}
    indexes: {platforms: list, platformlist: [{architecture: amd64, os: linux}]}
index: {path: /fast/index.db, exclusive: true}
gc: {grace: 0}
verify: {scrub: {enabled: true, interval: 48h, rate: 5 MiB/s}}
`);
    expect(warnings).toEqual([]);
    expect(config).toEqual({
      log: {
        level: "warn",
        formatter: "json",
        fields: { service: "registry", number: "3" },
        accessLog: { disabled: true },
      },
      storage: {
        loadLine: null,
        driver: { kind: "filesystem", rootDirectory: "/data" },
        delete: { enabled: false },
        maintenance: {
          readOnly: { enabled: false },
          uploadPurging: { enabled: true, ageMs: 3_600_000, intervalMs: 5_400_000, dryRun: true },
        },
      },
      http: {
        listen: { kind: "unix", path: "/run/registry.sock" },
        tls: null,
        prefix: "/registry/",
        host: "https://registry.example.com",
        relativeUrls: true,
        secret: "s3cret",
        headers: { "X-One": ["a", "b"], "X-Two": ["c"] },
        trustedProxies: { unix: true, networks: [{ address: "10.0.0.0", bits: 8 }] },
        drainTimeoutMs: 60_000,
        debug: {
          listen: { kind: "tcp", hostname: "127.0.0.1", port: 5001 },
          prometheus: { enabled: true, path: "/m" },
        },
        api: { enabled: false },
        limits: defaults.http.limits,
      },
      health: {
        storageDriver: { enabled: true, intervalMs: 5_000, threshold: 2 },
        files: [],
        http: [],
        tcp: [],
      },
      catalog: { maxEntries: 50 },
      tags: { maxTags: 1000 },
      validation: {
        enabled: true,
        manifests: {
          urls: { allow: [/^https:/], deny: [/evil/] },
          indexes: {
            platforms: "list",
            platformList: [{ architecture: "amd64", os: "linux", variant: "" }],
          },
        },
      },
      index: { path: "/fast/index.db", exclusive: true },
      gc: { ...defaults.gc, graceMs: 0 },
      verify: { scrub: { enabled: true, intervalMs: 172_800_000, rateBytes: 5_242_880 } },
      notifications: [],
      immutable: [],
      quotas: [],
      retention: [],
      auth: { kind: "none" },
      access: null,
    });
  });

  test("the scrub is off unless it is asked for; its rate is more than nothing, with a known unit", () => {
    expect(load(minimal).config.verify.scrub).toEqual({
      enabled: false,
      intervalMs: 30 * 24 * 3_600_000,
      rateBytes: 20_000_000,
    });
    for (const rate of ["0", "fast", "20 parsecs", "-1MB"]) {
      expect(() => load(`${minimal}verify: {scrub: {rate: ${rate}}}`)).toThrow(
        `verify.scrub.rate: "${rate}" is not valid; expected bytes a second such as 20MB or 512KiB, more than 0`,
      );
    }
    expect(() => load(`${minimal}verify: {scrub: {interval: 0s}}`)).toThrow(
      "verify.scrub.interval",
    );
  });

  test("empty sections take their defaults", () => {
    const empty = "log:\nhttp:\nhealth:\ncatalog:\nvalidation:\nindex:\ngc:\nverify:\nauth:\n";
    expect(load(minimal + empty).config).toEqual(load(minimal).config);
    expect(load("version: 0.1\nstorage: {filesystem: }").config.storage.driver).toEqual({
      kind: "filesystem",
      rootDirectory: "/var/lib/registry",
    });
  });

  test("log.level wins over loglevel; enabled over disabled in validation", () => {
    expect(load(`${minimal}loglevel: debug\nlog: {level: error}`).config.log.level).toBe("error");
    const validation = (keys: string): boolean =>
      load(`${minimal}validation: {${keys}}`).config.validation.enabled;
    expect(validation("disabled: true")).toBe(false);
    expect(validation("enabled: false")).toBe(true);
    expect(validation("enabled: true, disabled: true")).toBe(true);
  });
});

describe("warnings", () => {
  test.each([
    ["log: {reportcaller: true}", "log.reportcaller"],
    ["http: {draintimeout: 60}", "nanoseconds"],
    ["http: {host: registry.example.com}", "http.host"],
    ["http: {host: 'https://x.example.com/a/b'}", "ends without a slash"],
    ["nothing: 1", "nothing is not a known key"],
    ["http: {addr: ':1', addr: ':2'}", "more than once"],
    ["validation: {manifests: {urls: {alow: []}}}", "validation.manifests.urls.alow"],
  ])("%s", (yaml, expected) => {
    const { warnings } = load(minimal + yaml);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toStartWith("line 3: ");
    expect(warnings[0]).toContain(expected);
  });

  test("an unknown kind of cache is ignored, as in the classic", () => {
    const { warnings } = load("version: 0.1\nstorage: {inmemory: , cache: {blobdescriptor: foo}}");
    expect(warnings[0]).toStartWith('line 2: storage.cache.blobdescriptor: "foo" is not a known');
  });
});

describe("what is not built yet is an error that says so", () => {
  const drivers = ["s3", "s3aws", "s3goamz", "gcs", "azure", "swift", "oss", "rados"];
  test.each(drivers)("storage driver %s", (driver) => {
    const { problems } = failureOf(`version: 0.1\nstorage:\n  ${driver}:\n    bucket: x\n`);
    const text = `the storage driver ${driver} is not built yet in this version`;
    expect(problems).toEqual([`line 3: storage.${driver}: ${text}; remove or disable it`]);
  });

  test.each([
    ["redis", "redis: {addr: 'x:6379'}"],
    ["redis", "redis: {addrs: ['x:6379']}"],
    ["proxy", "proxy: {remoteurl: 'https://registry-1.docker.io'}"],
    ["middleware", "middleware: {storage: [{name: cloudfront}]}"],
    ["log.hooks", "log: {hooks: [{type: mail}]}"],
    ["reporting", "reporting: {bugsnag: {apikey: k}}"],
    ["reporting", "reporting: {newrelic: {licensekey: k}}"],
    ["policy", "policy: {repository: {classes: [image]}}"],
    ["compatibility", "compatibility: {schema1: {enabled: true}}"],
  ])("%s: %s", (key, yaml) => {
    const { problems } = failureOf(minimal + yaml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith(`line 3: ${key}: `);
    expect(problems[0]).toContain("is not built yet in this version");
  });

  test("the redis cache", () => {
    const { problems } = failureOf(
      "version: 0.1\nstorage: {inmemory: , cache: {blobdescriptor: redis}}",
    );
    expect(problems[0]).toContain("storage.cache.blobdescriptor: the redis cache");
  });
});

describe("wrong values name key, value, expectation and line", () => {
  test.each([
    ["http: {addr: 5000}", 'http.addr: "5000" is not valid; expected an address such as ":5000"'],
    ["http: {addr: [1]}", 'http.addr: ["1"] is not valid; expected an address'],
    ["http: {net: unix}", "http.addr is missing; expected the path of a socket"],
    ["http: {net: udp}", 'http.net: "udp" is not valid; expected one of tcp, unix'],
    ["http: {prefix: '/a/../b'}", 'http.prefix: "/a/../b" is not valid'],
    ["http: {host: 'ftp://x'}", 'http.host: "ftp://x" is not valid; expected a URL such as'],
    ["http: {relativeurls: maybe}", 'http.relativeurls: "maybe" is not valid; expected true or'],
    ["http: {headers: {'X Y': [a]}}", 'http.headers.X Y: ["a"] is not valid; expected the name'],
    ['http: {headers: {X: ["a\\nb"]}}', "http.headers.X.0: "],
    [
      "http: {trustedproxies: [nginx]}",
      'http.trustedproxies.0: "nginx" is not valid; expected an ad',
    ],
    ["http: {draintimeout: soon}", 'http.draintimeout: "soon" is not valid; expected a duration'],
    ["http: 5", 'http: "5" is not valid; expected keys and values below it'],
    ["log: {level: loud}", 'log.level: "loud" is not valid; expected one of error, warn, info'],
    ["log: {formatter: xml}", "expected one of text, json, logstash"],
    ["catalog: {maxentries: many}", 'catalog.maxentries: "many" is not valid; expected a whole'],
    ["health: {storagedriver: {threshold: -1}}", "expected a whole number, 0 or more"],
    [
      "validation: {manifests: {urls: {allow: ['[']}}}",
      'validation.manifests.urls.allow.0: "[" is not valid; expected a regular expression: ',
    ],
    ["validation: {manifests: {indexes: {platforms: some}}}", "expected one of all, none, list"],
    [
      "validation: {manifests: {indexes: {platformlist: [{os: linux}]}}}",
      "validation.manifests.indexes.platformlist.0.architecture is missing; expected a text",
    ],
    ["gc: {grace: 1d}", 'gc.grace: "1d" is not valid; expected a duration such as'],
  ])("%s", (yaml, expected) => {
    const { problems, message } = failureOf(minimal + yaml);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith("line 3: ");
    expect(problems[0]).toContain(expected);
    expect(message).toBe(`configuration error in config.yml:\n  ${problems[0]}`);
  });

  test.each([
    ["", "version is missing; expected 0.1"],
    ["version: 0.2\nstorage: inmemory", 'line 1: version: "0.2" is not valid; expected 0.1'],
    ["version: 0.1", "storage: a storage driver is missing"],
    ["version: 0.1\nstorage: {delete: {enabled: true}}", "line 2: storage: a storage driver is"],
    ["version: 0.1\nstorage: {filesystem: , inmemory: }", "found filesystem and inmemory"],
    ["version: 0.1\nstorage: floppy", 'there is no storage driver "floppy"'],
    [
      "version: 0.1\nstorage:\n filesystem:\n rootdirectory: /data",
      "was rootdirectory meant to be indented below filesystem?",
    ],
    ["version: 0.1\nstorage: {filesystem: {rootdirectory: ''}}", "expected the path of a dir"],
    ["[1, 2]", "line 1: expected keys such as version"],
    ["a: [", "not valid YAML"],
    [
      "version: 0.1\nstorage: {inmemory: , maintenance: {uploadpurging: {interval: 0s}}}",
      "expected a duration such as 30s, 10m or 168h, more than 0",
    ],
  ])("%s", (yaml, expected) => {
    expect(failureOf(yaml).message).toContain(expected);
  });

  test("all problems are listed at once", () => {
    const { problems } = failureOf(
      `${minimal}http: {addr: x, net: y}\nlog: {level: z}\nproxy: {remoteurl: u}`,
    );
    expect(problems).toHaveLength(3);
  });

  test("a secret is never shown", () => {
    const yaml = `${minimal}http: {secret: {hunter2: 1}}\nredis: {addr: x, password: hunter2}`;
    const { message } = failureOf(yaml, { REGISTRY_HTTP_SECRET_HUNTER2: "hunter2" });
    expect(message).not.toContain('hunter2"');
    expect(message).toContain("http.secret: (a secret) is not valid");
  });

  test("the file that cannot be read", () => {
    const path = join(tmpdir(), "no-such-directory", "config.yml");
    expect(() => loadConfig({ path, env: {} })).toThrow(`cannot read ${path}: ENOENT`);
  });

  test("a file on disk is read", () => {
    const directory = mkdtempSync(join(tmpdir(), "config-"));
    try {
      const path = join(directory, "config.yml");
      writeFileSync(path, minimal);
      expect(loadConfig({ path, env: {} })).toMatchObject({ path, warnings: [] });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("whatever the text, the outcome is a configuration or a ConfigError", () => {
    const words = ["version: 0.1", "storage:", "filesystem:", "http:", "addr:", "-", "x", "[", "{"];
    const line = fc.tuple(fc.nat(4), fc.constantFrom(...words, "'", "&a", "*a", "<<: 1", "? y"));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        const text = lines.map(([indent, word]) => " ".repeat(indent) + word).join("\n");
        try {
          load(text);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
