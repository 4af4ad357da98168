// The keeper with a clock that is moved by hand and a CA that is none: when it asks, what it shows.
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TlsCertificate } from "../http/index.ts";
import { joined } from "./certificate.ts";
import { CertificateCache } from "./certificate-cache.ts";
import { CertificateKeeper, type KeeperParts } from "./certificate-keeper.ts";
import type { OrderHandlers } from "./order.ts";
import type { Order } from "./order-messages.ts";

const directory = mkdtempSync(join(tmpdir(), "acme-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const minute = 60_000;
const day = 24 * 60 * minute;
const hosts = ["a.example.com", "b.example.com"];
const startMs = Date.now();
let made = 0;

/** A certificate of a few days, by openssl. */
function certificate(days: number, names: readonly string[] = hosts): TlsCertificate {
  made += 1;
  const [key, pem] = [join(directory, `made-${made}.key`), join(directory, `made-${made}.pem`)];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const about = ["-days", String(days), "-subj", `/CN=${made}`];
  const alternative = `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`;
  const files = ["-keyout", key, "-out", pem, "-addext", alternative];
  const { exitCode } = Bun.spawnSync(["openssl", "req", "-x509", ...curve, ...about, ...files]);
  expect(exitCode).toBe(0);
  return { certificate: readFileSync(pem, "utf8"), key: readFileSync(key, "utf8") };
}

const standIn = certificate(1);

interface World extends AsyncDisposable {
  readonly keeper: CertificateKeeper;
  /** When the CA was asked, in days since the start. */
  readonly askedDays: number[];
  readonly orders: Order[];
  readonly lines: string[];
  readonly cachePath: string;
  readonly state: { nowMs: number; answer: Answer };
  /** Sets the clock; a sleep that is under way goes on for as long as it would have. */
  putBack(ms: number): void;
  /** Lets the keeper sleep this long. */
  pass(ms: number): Promise<void>;
}

type Answer = (order: Order, handlers: OrderHandlers) => Promise<TlsCertificate> | TlsCertificate;

async function open(
  answer: Answer,
  options: {
    readonly cachePath?: string;
    readonly settings?: Partial<KeeperParts["settings"]>;
    readonly nowMs?: number;
  } = {},
): Promise<World> {
  const cachePath = options.cachePath ?? mkdtempSync(join(directory, "cache-"));
  const state = { nowMs: options.nowMs ?? startMs, answer };
  const askedDays: number[] = [];
  const orders: Order[] = [];
  const lines: string[] = [];
  let wake: (() => void) | null = null;
  let wakeMs = 0;
  let isIdle = Promise.withResolvers<void>();
  const log = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const keeper = await CertificateKeeper.open(
    {
      settings: { directoryUrl: "https://ca/dir", email: "", hosts, ...options.settings },
      cache: new CertificateCache(cachePath),
      makeStandIn: () => Promise.resolve(standIn),
      placeOrder: async (order, handlers) => {
        askedDays.push((state.nowMs - startMs) / day);
        orders.push(order);
        return await state.answer(order, handlers);
      },
      clock: { now: () => state.nowMs },
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          wakeMs = state.nowMs + ms;
          wake = resolve;
          signal.addEventListener("abort", () => {
            resolve();
          });
          isIdle.resolve();
        }),
      random: () => 0,
      log: { info: log("info"), warn: log("warn"), error: log("error") },
    },
    new AbortController().signal,
  );
  keeper.start();
  await isIdle.promise;
  const pass = async (ms: number): Promise<void> => {
    const endMs = state.nowMs + ms;
    for (;;) {
      if (wakeMs > endMs) break;
      state.nowMs = wakeMs;
      isIdle = Promise.withResolvers();
      wake?.();
      await isIdle.promise;
    }
    state.nowMs = endMs;
  };
  const putBack = (ms: number): void => {
    wakeMs += ms - state.nowMs;
    state.nowMs = ms;
  };
  const dispose = { [Symbol.asyncDispose]: () => keeper.stop() };
  return { keeper, askedDays, orders, lines, cachePath, state, putBack, pass, ...dispose };
}

describe("the keeper of the certificate", () => {
  test("shows a stand-in until the CA has answered, and tells of the change", async () => {
    const answered = Promise.withResolvers<TlsCertificate>();
    const cache = new CertificateCache(mkdtempSync(join(directory, "cache-")));
    const keeper = await CertificateKeeper.open(
      {
        settings: { directoryUrl: "https://ca/dir", email: "", hosts },
        cache,
        makeStandIn: () => Promise.resolve(standIn),
        placeOrder: () => answered.promise,
        clock: { now: () => startMs },
        sleep: () => new Promise(() => undefined),
        random: () => 0,
        log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      },
      new AbortController().signal,
    );
    const changed = Promise.withResolvers<void>();
    keeper.onChange(changed.resolve);
    keeper.start();
    expect(keeper.current().certificate).toBe(standIn.certificate);
    expect(keeper.isVouchedFor()).toBe(false);
    const gotten = certificate(90);
    answered.resolve(gotten);
    await changed.promise;
    expect(keeper.current()).toMatchObject(gotten);
    expect(keeper.isVouchedFor()).toBe(true);
  });

  test("renews when a third of the life is left, and again", async () => {
    await using world = await open(() => certificate(90));
    await world.pass(59 * day);
    expect(world.askedDays).toEqual([0]);
    world.state.answer = () => certificate(150);
    await world.pass(2 * day);
    expect(world.askedDays).toHaveLength(2);
    expect(world.askedDays[1]).toBeCloseTo(60, 2);
    await world.pass(37 * day);
    expect(world.askedDays).toHaveLength(2);
    await world.pass(5 * day);
    expect(world.askedDays).toHaveLength(3);
  });

  test("repeats what fails, later and later, and keeps showing what it has", async () => {
    const first = certificate(9);
    await using world = await open(() => first);
    world.state.answer = () => Promise.reject(new Error("rateLimited :: too many"));
    await world.pass(7 * day);
    const waits = world.askedDays
      .slice(1, 8)
      .map((at, n, all) => Math.round((at - (all[n - 1] ?? at)) * 1440));
    expect(waits).toEqual([0, 5, 10, 20, 40, 80, 160]);
    expect(world.keeper.current().certificate).toBe(first.certificate);
    expect(world.lines.filter((line) => line.startsWith("error"))[0]).toContain(
      "no certificate for a.example.com, b.example.com: rateLimited :: too many; tried again in 5 minutes. The one that is there is valid until",
    );
    const gotten = certificate(90);
    world.state.answer = () => gotten;
    await world.pass(5 * 60 * minute);
    expect(world.keeper.current().certificate).toBe(gotten.certificate);
  });

  test("never shows what the CA gave by mistake", async () => {
    const others = certificate(90, ["other.example.com"]);
    const mixed = { certificate: certificate(90).certificate, key: certificate(90).key };
    for (const wrong of [others, mixed, { certificate: "", key: "" }]) {
      await using world = await open(() => wrong);
      expect(world.keeper.current().certificate).toBe(standIn.certificate);
      expect(world.lines.at(-1)).toStartWith("error: http.tls.letsencrypt: no certificate for");
      expect(readdirSync(world.cachePath)).toEqual([]);
    }
  });

  test("does not ask again and again when its clock is wrong", async () => {
    // It seems to have ended long ago, however new it is.
    await using world = await open(() => certificate(90), { nowMs: startMs + 3_650 * day });
    await world.pass(30 * day);
    expect(world.askedDays.map((at) => Math.round(at - 3_650))).toEqual([0, 9, 18, 27]);
  });

  test.each(["the CA fails", "it is certified"])(
    "asks by the right time after a clock that ran years ahead is put back: %s",
    async (before) => {
      const gotten = certificate(90);
      const failing = (): Promise<never> => Promise.reject(new Error("its certificate has ended"));
      await using world = await open(before === "it is certified" ? () => gotten : failing, {
        nowMs: startMs + 3_650 * day,
      });
      await world.pass(minute);
      expect(world.askedDays).toHaveLength(1);
      world.state.answer = () => gotten;
      world.putBack(startMs);
      await world.pass(15 * minute);
      expect(world.keeper.current().certificate).toBe(gotten.certificate);
      expect(world.askedDays).toHaveLength(before === "it is certified" ? 1 : 2);
      await world.pass(61 * day);
      expect(world.askedDays.at(-1)).toBeCloseTo(60, 1);
    },
  );

  test("answers the CA only while it asks", async () => {
    const seen: (string | null)[] = [];
    let asked: CertificateKeeper | null = null;
    await using world = await open(async (_order, { challenge, keepAccountKey }) => {
      await keepAccountKey("the account");
      challenge("token", "token.thumbprint");
      seen.push(asked?.challengeAnswer("token") ?? null);
      return certificate(9);
    });
    asked = world.keeper;
    await world.pass(6.5 * day);
    expect(seen).toEqual([null, "token.thumbprint"]);
    expect(world.keeper.challengeAnswer("token")).toBeNull();
    expect(world.keeper.challengeAnswer("constructor")).toBeNull();
    expect(world.orders.map(({ accountKey }) => accountKey)).toEqual([null, "the account"]);
  });
});

describe("what is kept", () => {
  const kept = (text: string): string => {
    const path = mkdtempSync(join(directory, "cache-"));
    writeFileSync(join(path, "a.example.com"), text);
    return path;
  };

  test("is used after a restart, without asking, also what Go's autocert has kept", async () => {
    const before = certificate(90);
    // autocert writes keys in their older form.
    const key = join(directory, "sec1.key");
    writeFileSync(key, before.key);
    const { stdout } = Bun.spawnSync(["openssl", "ec", "-in", key], { stderr: "ignore" });
    expect(stdout.toString()).toContain("BEGIN EC PRIVATE KEY");
    for (const text of [joined(before), `${stdout.toString()}${before.certificate}`]) {
      await using world = await open(() => certificate(90), { cachePath: kept(text) });
      expect(world.askedDays).toEqual([]);
      expect(world.keeper.current().certificate).toBe(before.certificate);
      await world.pass(61 * day);
      expect(world.askedDays).toHaveLength(1);
    }
  });

  test("is shown, but replaced at once, when it is not for all hosts or of another CA", async () => {
    const few = certificate(90, ["a.example.com"]);
    await using world = await open(() => certificate(90), { cachePath: kept(joined(few)) });
    expect(world.askedDays).toEqual([0]);
    const settings = { directoryUrl: "https://other/dir" };
    const { cachePath } = world;
    await using again = await open(() => certificate(90), { cachePath });
    expect(again.askedDays).toEqual([]);
    await using other = await open(() => certificate(90), { cachePath, settings });
    expect(other.askedDays).toEqual([0]);
  });

  test.each(["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])(
    "does not stop a start when it is damaged: %p",
    async (text) => {
      await using world = await open(() => certificate(90), { cachePath: kept(text) });
      expect(world.askedDays).toEqual([0]);
    },
  );

  test("is for the owner alone, and whole", async () => {
    await using world = await open(() => certificate(90));
    const names = readdirSync(world.cachePath).sort();
    expect(names).toEqual(["a.example.com", "plimsoll_directory"]);
  });

  test("is missed by nobody but the next start, when the directory cannot be written to", async () => {
    const cachePath = mkdtempSync(join(directory, "cache-"));
    await using world = await open(
      () => {
        rmSync(cachePath, { recursive: true });
        return certificate(90);
      },
      { cachePath },
    );
    expect(world.lines.some((line) => line.includes("the certificate cannot be kept"))).toBe(true);
    expect(world.keeper.current().certificate).not.toBe(standIn.certificate);
    const file = join(directory, "a-file");
    writeFileSync(file, "");
    chmodSync(file, 0o600);
    expect(new CertificateCache(file).prepare()).rejects.toThrow("http.tls.letsencrypt.cachefile");
  });
});
