// The frame of a reload: what is made before anything is switched, and loops that are begun again.
import { describe, expect, test } from "bun:test";
import { type Loop, type ReloadablePart, Reloads, RestartableLoop } from "./reload.ts";
import { type Config, ConfigError, LiveConfig, loadConfig } from "../config/index.ts";

const load = (text: string): Config =>
  loadConfig({ path: "c", env: {}, readFile: () => `version: 0.1\nstorage: inmemory\n${text}` })
    .config;

function world(parts: readonly ReloadablePart[], next: () => Config) {
  const live = new LiveConfig(load("gc: {interval: 1m}"));
  const said: string[] = [];
  const say = (text: string): void => void said.push(text);
  const reloads = new Reloads({
    live,
    parts,
    load: () => ({ config: next(), warnings: [], path: "c" }),
    logger: { info: say, warn: say, error: say },
  });
  return { live, reloads, said };
}

describe("Reloads", () => {
  test("everything is made before anything is switched, and only what is concerned", async () => {
    const did: string[] = [];
    const part = (name: string, keys: readonly string[]): ReloadablePart => ({
      keys,
      prepare: async () => {
        await Bun.sleep(1);
        did.push(`make ${name}`);
        return () => void did.push(`switch ${name}`);
      },
    });
    const parts = [part("gc", ["gc"]), part("log", ["log"]), part("quotas", ["quotas"])];
    const { live, reloads } = world(parts, () => load("gc: {interval: 2m}\nlog: {level: warn}"));
    expect(await reloads.reload()).toMatchObject({ applied: ["log.level", "gc.interval"] });
    expect(did).toEqual(["make gc", "make log", "switch gc", "switch log"]);
    expect(live.view.gc.intervalMs).toBe(120_000);
  });

  test("what cannot be made keeps everything as it is", async () => {
    const did: string[] = [];
    const parts: ReloadablePart[] = [
      { keys: ["gc"], prepare: () => () => void did.push("gc") },
      { keys: ["log"], prepare: () => Promise.reject(new Error("no such key file")) },
    ];
    const { live, reloads, said } = world(parts, () =>
      load("gc: {interval: 2m}\nlog: {level: warn}"),
    );
    const before = live.current;
    expect(await reloads.reload()).toEqual({
      ok: false,
      problem: "no such key file",
      warnings: [],
    });
    expect(did).toEqual([]);
    expect(live.current).toBe(before);
    expect(said).toEqual([
      "the configuration was not reloaded, and what it was stays: no such key file",
    ]);
  });

  test("that everything is open from now on is said, once", async () => {
    const auth = "auth: {htpasswd: {realm: r, path: /p}}";
    const files = [`${auth}\naccess: []`, auth, "", "", auth];
    const { reloads } = world([], () => load(files.shift() ?? ""));
    const warned: (readonly string[])[] = [];
    for (let n = 0; n < 5; n++) warned.push((await reloads.reload()).warnings);
    expect(warned).toEqual([
      [],
      ["access is gone from the configuration: from now on whoever logs in may do everything"],
      [
        "auth is gone from the configuration: from now on everybody may do everything, without a login",
      ],
      [],
      [],
    ]);
  });

  test("a file that cannot be read is told with its problems and warnings", async () => {
    const { reloads, said } = world([], () => {
      throw new ConfigError("configuration error in c: x", ["x"], { warnings: ["w"] });
    });
    expect((await reloads.reload()).ok).toBe(false);
    expect(said).toEqual([
      "w",
      "the configuration was not reloaded, and what it was stays: configuration error in c: x",
    ]);
  });

  test("one after the other, in order, also when the first is slow", async () => {
    const seen: number[] = [];
    const part: ReloadablePart = {
      keys: ["gc"],
      prepare: async (next) => {
        await Bun.sleep(next.gc.intervalMs === 120_000 ? 20 : 0);
        return () => void seen.push(next.gc.intervalMs / 60_000);
      },
    };
    let asked = 1;
    const { reloads } = world([part], () => load(`gc: {interval: ${(asked += 1)}m}`));
    await Promise.all([reloads.reload(), reloads.reload(), reloads.reload()]);
    expect(seen).toEqual([2, 3, 4]);
  });

  test("what fails to begin again is told, and what comes after it is applied all the same", async () => {
    const did: string[] = [];
    const parts: ReloadablePart[] = [
      { keys: ["gc"], prepare: () => () => Promise.reject(new Error("odd")) },
      { keys: ["gc"], prepare: () => () => void did.push("other") },
    ];
    const { reloads, said } = world(parts, () => load("gc: {interval: 2m}"));
    expect(await reloads.reload()).toMatchObject({ ok: false, isApplied: true, problem: "odd" });
    expect(said).toEqual([
      "the configuration was reloaded, but something could not be begun again by it; restart the registry: odd",
    ]);
    expect(did).toEqual(["other"]);
  });
});

describe("a loop", () => {
  const loops = () => {
    const did: string[] = [];
    const make = (config: Config): Loop | null => {
      const name = `${config.gc.intervalMs / 60_000}`;
      if (!config.gc.enabled) return null;
      return {
        start: () => void did.push(`start ${name}`),
        stop: async (reason) => {
          await Bun.sleep(5);
          did.push(`stop ${name} ${reason}`);
        },
      };
    };
    return { did, loop: new RestartableLoop(load("gc: {interval: 1m}"), make) };
  };

  test("is over before the next one begins: never two at once", async () => {
    const { did, loop } = loops();
    loop.start();
    await loop.prepare(load("gc: {interval: 2m}"))();
    await loop.stop();
    expect(did).toEqual(["start 1", "stop 1 reloaded", "start 2", "stop 2 stopping"]);
  });

  test("that is switched off ends; switched on, it begins; made for nothing, it does neither", async () => {
    const { did, loop } = loops();
    loop.start();
    const off = loop.prepare(load("gc: {enabled: false}"));
    const on = loop.prepare(load("gc: {interval: 3m}"));
    loop.prepare(load("gc: {interval: 9m}"));
    expect(did).toEqual(["start 1"]);
    await off();
    await on();
    expect(did).toEqual(["start 1", "stop 1 reloaded", "start 3"]);
  });
});
