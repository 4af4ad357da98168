// Events that the classic registry has none of, as an endpoint gets them from a whole registry; and what
// becomes of events and endpoints when the configuration is changed under way.
import { describe, expect, test } from "bun:test";
import { pushImage as pushTagged, startReloaded } from "../reload/reloaded.ts";
import { pushImage } from "../observability/served.ts";
import { Endpoint, type Received } from "./endpoint.ts";

const hook = (name: string, endpoint: Endpoint, more = ""): string =>
  `{name: ${name}, url: "http://127.0.0.1:${endpoint.port}/hook", timeout: 5s, backoff: 50ms, threshold: 1${more}}`;
const endpoints = (...hooks: string[]): string =>
  `notifications: {events: {includereferences: true}, endpoints: [${hooks.join(", ")}]}`;
const headers = { "Content-Type": "application/json", "X-Plimsoll": "1" };
const told = ({ action, target, actor }: Received): unknown[] => [
  action,
  target["repository"],
  target["tag"],
  actor.name,
];

async function api(origin: string, path: string, body: object): Promise<void> {
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(`${origin}/api/v1/${path}`, init);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

describe("events of this registry's own", () => {
  test("restoring, rules, a collection: to who asks for them, and to others in words that they know", async () => {
    await using knowing = new Endpoint();
    await using classic = new Endpoint();
    const rule =
      '{name: ci, repositories: ["ci/**"], tags: ["**"], keep: {matching: ["keep"]}, allowempty: true}';
    await using served = await startReloaded(
      () => `gc: {grace: 1ms, keepdeleted: 24h}
retention: [${rule}]
${endpoints(
  hook(
    "knowing",
    knowing,
    ", include: {actions: [restore, collect, retain]}, ignore: {actions: [pull]}",
  ),
  hook("classic", classic),
)}`,
    );
    const { origin } = served;
    const digest = await pushImage(origin, "a/x", "one");
    await pushImage(origin, "ci/x", "two");
    const pushed = await knowing.until(6);
    expect(pushed[2]?.target["references"]).toMatchObject([
      { size: 12, mediaType: "application/octet-stream" },
      { size: 3 },
    ]);
    await fetch(`${origin}/v2/a/x/manifests/${digest}`, { method: "DELETE" });
    await api(origin, "deletions/restore", { repository: "a/x", digest });
    await api(origin, "retention/apply", {});
    await knowing.until(10);
    await api(origin, "collection/start", { keepDeletedSeconds: 0 });
    const events = await knowing.until(11);
    expect(events.slice(6).map(told)).toEqual([
      ["delete", "a/x", undefined, undefined],
      ["restore", "a/x", "latest", undefined],
      ["delete", "ci/x", undefined, undefined],
      ["retain", undefined, undefined, undefined],
      ["collect", undefined, undefined, undefined],
    ]);
    expect(events[9]?.retention).toMatchObject({ rules: ["ci"], tags: 1, manifests: 1 });
    expect(events[10]?.collection).toMatchObject({ askedBy: "api", errors: 0, stopped: null });
    const others = await classic.until(9);
    expect(others.map(told).slice(6)).toEqual([
      ["delete", "a/x", undefined, undefined],
      ["push", "a/x", "latest", undefined],
      ["delete", "ci/x", undefined, undefined],
    ]);
  });
});

describe("endpoints that are changed under way", () => {
  test("no event is lost, and none goes to who is gone", async () => {
    await using one = new Endpoint();
    await using two = new Endpoint();
    await using three = new Endpoint();
    await using served = await startReloaded(() =>
      endpoints(hook("kept", one), hook("moved", two), hook("gone", three)),
    );
    const { origin } = served;
    // Two and three take nothing now; what is for them waits.
    two.delayMs = null;
    three.delayMs = null;
    await pushImage(origin, "a/x", "1");
    await one.until(3);
    const pushing = (async () => {
      for (let n = 2; n <= 20; n++) await pushImage(origin, "a/x", `${n}`);
    })();
    await Bun.sleep(20);
    await using elsewhere = new Endpoint();
    await using late = new Endpoint();
    const now = endpoints(hook("kept", one), hook("moved", elsewhere), hook("late", late));
    expect(await served.reload(now)).toMatchObject({ applied: ["notifications.endpoints"] });
    three.delayMs = 0;
    await pushing;
    // Some blobs are the same, and pushed again all the same: one event each.
    await one.until(60);
    await elsewhere.until(60);
    const digests = (endpoint: Endpoint) => endpoint.events.map(({ id }) => id);
    expect(digests(elsewhere)).toEqual(digests(one));
    expect(new Set(digests(one)).size).toBe(60);
    expect(three.events).toEqual([]);
    expect(two.events).toEqual([]);
    // From when it was asked for on, and all of that.
    expect(late.events.length).toBeGreaterThan(0);
    expect(digests(one).slice(-late.events.length)).toEqual(digests(late));
  });

  test("an endpoint that hangs does not keep it from being taken out", async () => {
    await using hanging = new Endpoint();
    hanging.delayMs = 60_000;
    await using served = await startReloaded(() => endpoints(hook("one", hanging)));
    await pushImage(served.origin, "a/x", "1");
    await Bun.sleep(600);
    await (await fetch(`${served.origin}/v2/a/x/manifests/latest`)).text();
    const begunMs = performance.now();
    expect((await served.reload("")).ok).toBe(true);
    expect(performance.now() - begunMs).toBeLessThan(1_000);
    // And pulls are told of to nobody, then to somebody again.
    await using other = new Endpoint();
    await served.reload(endpoints(hook("one", other)));
    await (await fetch(`${served.origin}/v2/a/x/manifests/latest`)).text();
    expect((await other.until(1)).map(told)).toEqual([["pull", "a/x", "latest", undefined]]);
    // Who is gone takes nothing: that says nothing of how many there are.
    expect(served.lines.join()).not.toContain("nobody is notified");
  });
});

test("what is removed to make room is not told as done by whoever pushed at that moment", async () => {
  await using endpoint = new Endpoint();
  const more = ", ignore: {actions: [pull, push]}, include: {actions: [collect, retain]}";
  await using served = await startReloaded(
    () => `gc: {grace: 1ms, keepdeleted: 0s}
retention: [{name: ci, repositories: ["ci/**"], tags: ["**"], keep: {newest: 1}, onpressure: true}]
${endpoints(hook("all", endpoint, more))}`,
    { storage: ", maxsize: 20000B, watermark: {warn: 50%, collect: 60%, refuse: 99%}" },
  );
  for (let n = 0; !endpoint.events.some(({ action }) => action === "retain") && n < 40; n++) {
    await pushTagged(served, `ci/x:v${n}`, `${n}`.padEnd(2_000));
    await Bun.sleep(250);
  }
  const byAction = new Map(endpoint.events.map((event) => [event.action, event]));
  for (const [action, name] of [
    ["delete", "retention"],
    ["collect", "collector"],
    ["retain", "retention"],
  ] as const) {
    expect(byAction.get(action)).toMatchObject({
      actor: { name },
      request: { id: "", method: "" },
    });
  }
});
