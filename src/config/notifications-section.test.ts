// `notifications`: every key, and what is said of those that make no sense.
import { describe, expect, test } from "bun:test";
import { problemsIn } from "../../test/config/problems.ts";
import type { Config } from "./config.ts";
import { loadConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

const head = "version: 0.1\nstorage: inmemory\n";
const v2 = "application/vnd.docker.distribution.events.v2+json";
const v1 = "application/vnd.docker.distribution.events.v1+json";

function load(section: string, env: Record<string, string> = {}) {
  return loadConfig({ path: "c.yml", env, readFile: () => head + section });
}

function problemOf(section: string): string {
  return problemsIn(() => load(section)).join("\n");
}

const everything = `notifications:
  events: {includereferences: true}
  endpoints:
    - name: alice
      disabled: false
      url: https://me:passw0rd@hooks.example/x
      headers: {Authorization: [Bearer t0ken], X-One: a}
      timeout: 500ms
      threshold: 5
      backoff: 2s
      ignoredmediatypes: [application/octet-stream]
      ignore: {mediatypes: [a/b], actions: [pull, mount]}
      include: {actions: [collect]}
      mediatype: ${v1}
    - {name: bob, url: "http://bob/"}
    - {name: carol, disabled: true}
`;

const expected: Config["notifications"] = [
  {
    name: "alice",
    url: "https://me:passw0rd@hooks.example/x",
    headers: { Authorization: ["Bearer t0ken"], "X-One": ["a"] },
    timeoutMs: 500,
    threshold: 5,
    backoffMs: 2_000,
    ignoredMediaTypes: ["application/octet-stream", "a/b"],
    ignoredActions: ["pull", "mount"],
    includedActions: ["collect"],
    includesReferences: true,
    mediaType: v1,
  },
  {
    name: "bob",
    url: "http://bob/",
    headers: {},
    timeoutMs: 1_000,
    threshold: 10,
    backoffMs: 1_000,
    ignoredMediaTypes: [],
    ignoredActions: [],
    includedActions: [],
    includesReferences: true,
    mediaType: v2,
  },
];

describe("notifications", () => {
  test("every key; what is disabled is not there", () => {
    const { config, warnings } = load(everything);
    expect(config.notifications).toEqual(expected);
    expect(warnings).toEqual([]);
    expect(load("").config.notifications).toEqual([]);
  });

  test("what is shown has no secret, and can be read back", () => {
    const shown = renderConfig(load(everything).config);
    expect(shown).not.toContain("passw0rd");
    expect(shown).not.toContain("t0ken");
    const section = shown.slice(shown.indexOf("\nnotifications:"));
    const [alice, bob] = load(section.replaceAll("********", "x")).config.notifications;
    expect(alice?.ignoredActions).toEqual(["pull", "mount"]);
    expect(bob).toEqual(expected[1]);
  });

  test("from variables", () => {
    const { notifications } = load("", {
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME: "a",
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL: "http://a/",
    }).config;
    expect(notifications[0]?.url).toBe("http://a/");
  });

  test.each([
    ["{url: 'http://a'}", "notifications.endpoints.0.name is missing; expected a name"],
    ["{name: a}", "notifications.endpoints.0.url is missing; expected a URL"],
    ["{name: a, url: 'ftp://a'}", 'notifications.endpoints.0.url: "ftp://a" is not valid'],
    ["{name: a, url: 'http://a', timeout: soon}", "expected a duration"],
    ["{name: a, url: 'http://a', threshold: -1}", "expected a whole number, 0 or more"],
    ["{name: a, url: 'http://a', ignore: {actions: [eat]}}", "expected one of push, pull, mount"],
    ["{name: a, url: 'http://a', mediatype: x}", `expected one of ${v2}, ${v1}`],
    ["{name: a, url: 'http://a'}, {name: a, url: 'http://b'}", "a name of its own for each"],
  ])("%s", (endpoints, problem) => {
    expect(problemOf(`notifications: {endpoints: [${endpoints}]}`)).toContain(problem);
  });

  test("an unknown key of an endpoint is warned about, as anywhere", () => {
    const section = "notifications: {endpoints: [{name: a, url: 'http://a', colour: red}]}";
    const { config, warnings } = load(section);
    expect(config.notifications).toHaveLength(1);
    expect(warnings.join()).toContain("colour");
  });
});

describe("what cannot be sent is refused, and no secret is shown", () => {
  test.each([
    ["a scheme that is wrong", 'url: "htp://user:s3cret@h/"'],
    ["no scheme", 'url: "user:s3cret@h/x"'],
    ["a slash in a password", 'url: "http://user:s3/s3cret@h/"'],
    ["an at sign in a password", 'url: "htp://user:pw@s3cret@h/"'],
    ["a parameter", 'url: "htp://h/?key=s3cret"'],
    ["a percent sign that stands for itself", 'url: "http://u%:s3cret@h/"'],
    ["a header of two lines", 'url: "http://h/", headers: {X-Hook: ["s3cret\\nx"]}'],
    ["a header that is no text", 'url: "http://h/", headers: {X-Hook: {a: s3cret}}'],
    ["a header of letters that none can have", 'url: "http://h/", headers: {X-Hook: ["s3cret☃"]}'],
    ["a header whose name is none", 'url: "http://h/", headers: {"X Hook": s3cret}'],
  ])("%s", (_what, endpoint) => {
    const problem = problemOf(`notifications: {endpoints: [{name: a, ${endpoint}}]}`);
    expect(problem).toMatch(/^line 3: notifications\.endpoints\.0\.(?:url|headers).* is not valid/);
    expect(problem).not.toContain("s3cret");
  });

  test("neither where a whole list is wrong", () => {
    const endpoint = '{name: a, url: "http://u:s3cret@h/", headers: {X-Hook: s3cret}}';
    for (const endpoints of [`[${endpoint}, ${endpoint}]`, endpoint]) {
      const problem = problemOf(`notifications: {endpoints: ${endpoints}}`);
      expect(problem).toContain("notifications.endpoints");
      expect(problem).not.toContain("s3cret");
    }
  });

  test("nor of a check of health, nor in what is printed", () => {
    const check = (uri: string): string => `health: {http: [{uri: "${uri}"}]}`;
    expect(problemOf(check("htp://u:s3cret@h/"))).not.toContain("s3cret");
    expect(renderConfig(load(check("http://u:p@s3cret@h/")).config)).not.toContain("s3cret");
  });
});
