import { describe, expect, test } from "bun:test";
import { problemsIn } from "../../test/config/problems.ts";
import { parseRepositoryName, parseTag } from "../oci/index.ts";
import type { Config } from "./config.ts";
import { loadConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

function configOf(yaml: string, env: Record<string, string> = {}): Config {
  const readFile = (): string => `version: 0.1\n${yaml}`;
  return loadConfig({ path: "c.yml", env, readFile }).config;
}

function problemOf(yaml: string): string {
  return problemsIn(() => configOf(yaml)).join("\n");
}

const head = "storage: inmemory\n";

describe("immutable and quotas", () => {
  test("are empty unless they are given", () => {
    expect(configOf(head)).toMatchObject({ immutable: [], quotas: [] });
    expect(configOf(`${head}immutable:\nquotas: []\n`)).toMatchObject({
      immutable: [],
      quotas: [],
    });
  });

  test("every key", () => {
    const { immutable, quotas } = configOf(`${head}immutable:
  - {name: releases, repositories: ["release/**", "!release/tmp"], tags: ["v*"]}
  - {repositories: ["**"], tags: ["stable"]}
quotas:
  - {name: ci, repositories: ["ci/**"], bytes: 10GB, manifests: 1000, tags: 100, contact: ops@example.com}
  - {name: small, repositories: ["*"], tags: 5}
`);
    expect(immutable.map(({ name }) => name)).toEqual(["releases", "immutable.1"]);
    const [releases] = immutable;
    expect(releases?.repositories.matches(parseRepositoryName("release/a/b"))).toBe(true);
    expect(releases?.repositories.matches(parseRepositoryName("release/tmp"))).toBe(false);
    expect(releases?.tags.matches(parseTag("v1.0"))).toBe(true);
    expect(quotas.map(({ name, limits, contact }) => ({ name, limits, contact }))).toEqual([
      {
        name: "ci",
        limits: { bytes: 10_000_000_000, manifests: 1000, tags: 100 },
        contact: "ops@example.com",
      },
      { name: "small", limits: { tags: 5 }, contact: null },
    ]);
  });

  test("what is printed can be read back", () => {
    const yaml = `${head}immutable: [{repositories: ["a/**"], tags: ["v*", "!v*-rc?"]}]
quotas: [{name: q, repositories: [a], bytes: 1.5GiB, contact: "me"}]
`;
    const printed = renderConfig(configOf(yaml)).replace("version: 0.1\n", "");
    expect(renderConfig(configOf(printed))).toContain(printed);
    expect(printed).toContain("bytes: 1536MiB");
  });

  test("by variables", () => {
    const env = { REGISTRY_QUOTAS: '[{"name":"q","repositories":["a"],"tags":3}]' };
    expect(configOf(head, env).quotas[0]).toMatchObject({ name: "q", limits: { tags: 3 } });
  });

  test.each([
    ["immutable: [{repositories: [a]}]", "immutable.0.tags is missing", "a list of globs"],
    ["immutable: [{repositories: [], tags: [v]}]", "immutable.0.repositories", "a list of globs"],
    ["immutable: [{repositories: a, tags: [v]}]", "immutable.0.repositories", '"a"'],
    ["immutable: [{repositories: ['a b'], tags: [v]}]", "immutable.0.repositories", '"a b"'],
    ["immutable: [{name: 'ü', repositories: [a], tags: [v]}]", "immutable.0.name", "ASCII"],
    ["quotas: [{name: q, repositories: [a]}]", "quotas.0", "at least one of bytes"],
    ["quotas: [{name: q, repositories: [a], bytes: lots}]", "quotas.0.bytes", "500MB or 10GiB"],
    ["quotas: [{name: q, repositories: [a], tags: -1}]", "quotas.0.tags", "0 or more"],
    ["quotas: [{repositories: [a], tags: 1}]", "quotas.0.name is missing", "ASCII"],
    [
      "quotas: [{name: q, repositories: [a], tags: 1}, {name: q, repositories: [b], tags: 1}]",
      "quotas.1.name",
      "no other quota has",
    ],
    ["quotas: 5", "quotas", "a list"],
  ])("%s: key, what was expected, line", (line, key, expected) => {
    const problem = problemOf(`${head}${line}\n`);
    expect(problem).toContain("line 3: ");
    expect(problem).toContain(key);
    expect(problem).toContain(expected);
  });
});

describe("storage.watermark and storage.maxsize", () => {
  const storage = (keys: string): string =>
    `storage:\n  filesystem: {rootdirectory: /data}\n  ${keys}\n`;

  test("nothing is watched unless one of them is given", () => {
    expect(configOf(storage("delete: {enabled: true}")).storage.loadLine).toBeNull();
    const marks = { warnPercent: 80, collectPercent: 90, refusePercent: 95 };
    expect(configOf(storage("maxsize: 500GB")).storage.loadLine).toEqual({
      watermark: marks,
      sizeBytesMax: 500_000_000_000,
    });
    expect(configOf(storage("watermark: {}")).storage.loadLine).toEqual({
      watermark: marks,
      sizeBytesMax: null,
    });
  });

  test("every key, also by variables, and what is printed can be read back", () => {
    const { config } = { config: configOf(storage("watermark: {warn: 50%, collect: 62.5%}")) };
    expect(config.storage.loadLine?.watermark).toEqual({
      warnPercent: 50,
      collectPercent: 62.5,
      refusePercent: 95,
    });
    const printed = renderConfig(config).replace("version: 0.1\n", "");
    expect(configOf(printed).storage).toEqual(config.storage);
    const env = { REGISTRY_STORAGE_WATERMARK_REFUSE: "97%", REGISTRY_STORAGE_MAXSIZE: "1TB" };
    expect(configOf(storage("watermark: {}"), env).storage.loadLine).toMatchObject({
      watermark: { refusePercent: 97 },
      sizeBytesMax: 1e12,
    });
  });

  test.each([
    ["watermark: {warn: 90}", "storage.watermark.warn", "a percentage such as 80%"],
    ["watermark: {refuse: 101%}", "storage.watermark.refuse", "at most 100%"],
    ["watermark: {collect: 0%}", "storage.watermark.collect", "more than 0%"],
    ["watermark: {refuse: 85%}", "storage.watermark", "80%, 90% and 85%"],
    ["watermark: {warn: 92%}", "storage.watermark", "in this order"],
    ["maxsize: 0", "storage.maxsize", "more than 0"],
    ["maxsize: 1 furlong", "storage.maxsize", "500MB or 10GiB"],
  ])("%s: key, what was expected, line", (line, key, expected) => {
    const problem = problemOf(storage(line));
    expect(problem).toContain("line 4: ");
    expect(problem).toContain(key);
    expect(problem).toContain(expected);
  });

  test("storage in memory has no file system", () => {
    expect(problemOf("storage: {inmemory: {}, watermark: {warn: 50%}}\n")).toContain(
      "storage.watermark: storage in memory has no file system: give storage.maxsize",
    );
    expect(configOf("storage: {inmemory: {}, maxsize: 1GB}\n").storage.loadLine?.sizeBytesMax).toBe(
      1e9,
    );
  });
});
