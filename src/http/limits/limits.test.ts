import { describe, expect, test } from "bun:test";
import { TooManyRequestsError } from "../../oci/index.ts";
import { addressKey, neighbourhood } from "./address-key.ts";
import { ClientTable } from "./client-table.ts";
import { ClientUse } from "./client-use.ts";
import { LoginGate } from "./login-gate.ts";
import { Limits } from "./limits.ts";
import { type ClientLimits, noLimits, type LimitsOptions } from "./options.ts";
import { Meter, Pace } from "./rate.ts";

let nowMs = 1_000;
const now = (): number => nowMs;
const never = (): AbortSignal => new AbortController().signal;

function limitsWith(address: Partial<ClientLimits>, user: Partial<ClientLimits> = {}): Limits {
  return new Limits(optionsWith(address, user), now);
}

function optionsWith(
  address: Partial<ClientLimits>,
  user: Partial<ClientLimits> = {},
): LimitsOptions {
  return {
    ...noLimits,
    address: { ...noLimits.address, ...address },
    user: { ...noLimits.user, ...user },
  };
}

/** How long a refused request is told to wait; null: it was let in. */
function refusal(limits: Limits, caller: string, borrows = false): number | null {
  try {
    limits.visitor(caller)?.enter(borrows);
    return null;
  } catch (error) {
    if (!(error instanceof TooManyRequestsError)) throw error;
    return error.retryAfterSeconds;
  }
}

describe("a rate", () => {
  test("lets the burst in at once, then one at a time, and says when", () => {
    const meter = new Meter();
    const rate = { perSecond: 2, burst: 3 };
    expect([0, 0, 0, 0].map((at) => meter.take(rate, at))).toEqual([0, 0, 0, 500]);
    // What was refused is not owed.
    expect(meter.take(rate, 499)).toBe(1);
    expect(meter.take(rate, 500)).toBe(0);
    expect(meter.peek(rate, 500)).toBe(500);
    expect(meter.isIdle(1_999)).toBe(false);
    expect(meter.isIdle(2_000)).toBe(true);
    expect(meter.take(rate, 100_000)).toBe(0);
  });

  test("is held for hours, whatever the fractions", () => {
    const meter = new Meter();
    let used = 0;
    for (let at = 0; at < 3_600_000; at += 7) {
      if (meter.take({ perSecond: 3, burst: 10 }, at) === 0) used += 1;
    }
    expect(used).toBeGreaterThanOrEqual(3 * 3_600);
    expect(used).toBeLessThanOrEqual(3 * 3_600 + 10);
  });

  test("what is owed at a rate that is replaced is paid off at the new one", () => {
    const pace = new Pace();
    nowMs += 1_000_000;
    // Of a rate that was a slip of the pen: hours.
    pace.book(10_000_000, 1_000, nowMs);
    expect(pace.book(10_000_000, 10_000_000, nowMs)).toBeWithin(1_900, 2_001);
    expect(pace.book(5_000_000, 20_000_000, nowMs)).toBeWithin(1_200, 1_251);
  });

  test("bytes wait until they are paid for, and what was not used is not saved up", () => {
    const pace = new Pace();
    expect(pace.book(1_000, 1_000, 0)).toBe(750);
    expect(pace.book(1_000, 1_000, 0)).toBe(1_750);
    expect(pace.book(1_000, 1_000, 1_000_000)).toBe(750);
  });
});

describe("requests", () => {
  test("of each address by itself, with the time after which to come again", () => {
    const limits = limitsWith({ requests: { perSecond: 1, burst: 2 } });
    expect([1, 2, 3].map(() => refusal(limits, "10.0.0.1"))).toEqual([null, null, 1]);
    expect(refusal(limits, "10.0.0.2")).toBeNull();
    nowMs += 1_000;
    expect(refusal(limits, "10.0.0.1")).toBeNull();
  });

  test("with a body is let in a little beyond the limit, and no further", () => {
    const limits = limitsWith({ requests: { perSecond: 1, burst: 2 } });
    expect([1, 2, 3, 4, 5].map(() => refusal(limits, "10.0.1.1", true))).toEqual([
      null,
      null,
      null,
      null,
      1,
    ]);
    // What was borrowed is paid back first.
    expect(refusal(limits, "10.0.1.1")).toBe(3);
    nowMs += 3_000;
    expect(refusal(limits, "10.0.1.1")).toBeNull();
  });

  test("all addresses of an IPv6 network of a customer are one client", () => {
    const limits = limitsWith({ requests: { perSecond: 1, burst: 1 } });
    expect(refusal(limits, "2001:db8:1:2::1")).toBeNull();
    expect(refusal(limits, "2001:db8:1:2:3:4:5:6")).toBe(1);
    expect(refusal(limits, "2001:db8:1:3::1")).toBeNull();
  });

  test("of a user count wherever they come from", () => {
    const limits = limitsWith({}, { requests: { perSecond: 1, burst: 1 } });
    const ask = (caller: string, user: string | null) => () => {
      const visitor = limits.visitor(caller);
      visitor?.enter(false);
      visitor?.identify(user);
    };
    expect(ask("10.0.0.1", "alice")).not.toThrow();
    expect(ask("10.0.0.2", "alice")).toThrow(/of your user: http\.limits\.user\.requests allows 1/);
    expect(ask("10.0.0.2", "bob")).not.toThrow();
    expect(ask("10.0.0.2", null)).not.toThrow();
  });

  test("nothing is counted while nothing is limited; a limit can come and go", () => {
    const limits = new Limits(noLimits, now);
    expect(limits.visitor("10.0.0.1")).toBeNull();
    limits.replace(optionsWith({ requests: { perSecond: 1, burst: 1 } }));
    expect([1, 2].map(() => refusal(limits, "10.0.0.1"))).toEqual([null, 1]);
    limits.replace(optionsWith({ requests: { perSecond: 1_000, burst: 100 } }));
    // What was owed to the lower rate is owed no longer.
    expect(refusal(limits, "10.0.0.1")).toBe(0.101);
    nowMs += 101;
    expect(refusal(limits, "10.0.0.1")).toBeNull();
    limits.replace(noLimits);
    expect(limits.visitor("10.0.0.1")).toBeNull();
  });
});

describe("the table of clients", () => {
  const busyFor = { perSecond: 1, burst: 1_000 };

  function tableOf(clientsMax: number): ClientTable<ClientUse> {
    return new ClientTable(() => new ClientUse(), { neighbourhood, clientsMax });
  }

  test("forgets who uses nothing any more, the longest gone first", () => {
    const table = tableOf(3);
    const first = table.of("10.0.0.1", nowMs);
    for (const n of [2, 3]) table.of(`10.0.0.${n}`, nowMs).requests.take(busyFor, nowMs);
    table.of("10.0.0.4", nowMs);
    expect(table.size).toBe(3);
    expect(table.find("10.0.0.1")).toBeNull();
    expect(table.of("10.0.0.1", nowMs)).not.toBe(first);
  });

  test("never forgets what somebody has used, however many come; newcomers share with neighbours", () => {
    const table = tableOf(100);
    const used = table.of("10.0.0.1", nowMs);
    used.requests.take({ perSecond: 0.001, burst: 1 }, nowMs);
    for (let n = 0; n < 5_000; n++) {
      table.of(`10.1.${n >> 8}.${n & 255}`, nowMs).requests.take(busyFor, nowMs);
    }
    expect(table.of("10.0.0.1", nowMs)).toBe(used);
    // Of the /24s of the attack each has one share, and nobody more than a share.
    expect(table.size).toBeLessThan(100 + 30);
    expect(table.of("10.1.9.9", nowMs)).toBe(table.of("10.1.9.10", nowMs));
    // When it is over, it is over.
    nowMs += 10_000;
    table.of("10.9.9.9", nowMs);
    expect(table.find("10.9.9.9")).not.toBeNull();
    expect(table.of("10.9.9.9", nowMs)).not.toBe(table.of("10.9.9.10", nowMs));
  });

  test.each([
    ["10.1.2.3", "10.1.2.3", "10.1.2"],
    ["unix", "unix", "unix"],
    ["2001:db8::1", "2001:db8:0:0", "2001:db8:0"],
    ["::1", "0:0:0:0", "0:0:0"],
    ["fe80::1%eth0", "fe80:0:0:0", "fe80:0:0"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2", "2001:db8:1"],
    ["64:ff9b::10.0.0.1", "64:ff9b:0:0", "64:ff9b:0"],
  ])("%s is counted as %s, in %s", (address, key, around) => {
    expect(addressKey(address)).toBe(key);
    expect(neighbourhood(addressKey(address))).toBe(around);
  });
});

describe("uploads", () => {
  test("beyond the limit wait for their turn, in order; beyond those that may wait they are refused", async () => {
    const limits = limitsWith({ uploadsMax: 1 });
    const order: number[] = [];
    const ends: (() => void)[] = [];
    const upload = (n: number): Promise<void> => {
      const visitor = limits.visitor("10.0.0.1");
      if (visitor === null) throw new Error("nothing is limited");
      return visitor.upload(never, async () => {
        order.push(n);
        await new Promise<void>((resolve) => ends.push(resolve));
      });
    };
    const all = Array.from({ length: 9 }, (_, n) => upload(n));
    expect(() => limits.visitor("10.0.0.1")?.checkUploads()).toThrow(TooManyRequestsError);
    expect(upload(9)).rejects.toThrow(/http\.limits\.address\.uploads allows 1/);
    expect(() => limits.visitor("10.0.0.2")?.checkUploads()).not.toThrow();
    while (order.length < 9) {
      ends.shift()?.();
      await Bun.sleep(0);
    }
    ends.shift()?.();
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(limits.useOf("address", "10.0.0.1").isIdle(nowMs)).toBe(true);
  });

  test("one that fails gives its turn back; one whose client is gone waits no longer", async () => {
    const use = new ClientUse();
    expect(await use.beginUpload(1, never)).toBe(true);
    const gone = new AbortController();
    const waiting = use.beginUpload(1, () => gone.signal);
    const next = use.beginUpload(1, never);
    gone.abort();
    expect(await waiting).toBe(false);
    use.endUpload(1);
    expect(await next).toBe(true);
    const limits = limitsWith({ uploadsMax: 1 });
    const failing = limits.visitor("a")?.upload(never, () => Promise.reject(new Error("lost")));
    expect(failing).rejects.toThrow("lost");
    await Bun.sleep(0);
    expect(limits.useOf("address", "a").isIdle(nowMs)).toBe(true);
  });

  test("a user who waits for a turn of their own holds none of the address's", async () => {
    const limits = limitsWith({ uploadsMax: 2 }, { uploadsMax: 1 });
    const order: string[] = [];
    const first = Promise.withResolvers<void>();
    const upload = async (user: string, until: Promise<void>): Promise<void> => {
      const visitor = limits.visitor("10.0.0.1");
      visitor?.identify(user);
      await visitor?.upload(never, async () => {
        order.push(user);
        await until;
      });
    };
    const all = [
      upload("alice", first.promise),
      upload("alice", Promise.resolve()),
      upload("bob", Promise.resolve()),
    ];
    await all[2];
    expect(order).toEqual(["alice", "bob"]);
    first.resolve();
    await Promise.all(all);
    expect(order).toEqual(["alice", "bob", "alice"]);
  });

  test("a limit that is lifted lets all in that wait", async () => {
    const limits = limitsWith({ uploadsMax: 1 });
    const first = Promise.withResolvers<void>();
    const uploads = [first.promise, 1, 2, 3].map(async (until) => {
      await limits.visitor("10.0.0.1")?.upload(never, () => Promise.resolve(until));
    });
    limits.replace(noLimits);
    first.resolve();
    await Promise.all(uploads);
  });
});

describe("bandwidth", () => {
  test("is shared by the transfers of an address, and of a user", () => {
    const limits = limitsWith({ sendBytesPerSecond: 1_000 }, { sendBytesPerSecond: 100 });
    const one = limits.visitor("10.0.0.1");
    const other = limits.visitor("10.0.0.1");
    expect(one?.isSendingPaced).toBe(true);
    expect(one?.sent(1_000)).toBe(750);
    expect(other?.sent(1_000)).toBe(1_750);
    one?.identify("alice");
    expect(one?.sent(100)).toBe(1_850);
    expect(limits.visitor("10.0.0.2")?.sent(100)).toBe(0);
    const elsewhere = limits.visitor("10.0.0.3");
    elsewhere?.identify("alice");
    expect(elsewhere?.sent(100)).toBe(1_750);
    expect(elsewhere?.received(1_000_000)).toBe(0);
  });
});

describe("logins that fail", () => {
  const options = { failuresMax: 3, windowMs: 60_000 };

  function gateWith(right: string, known: string[] = []) {
    const gate = new LoginGate(() => options, now);
    let checks = 0;
    const controller = {
      passwordRealm: "r",
      decide: () => Promise.reject(new Error("not asked here")),
      knows: ({ password }: { readonly password: string }) => known.includes(password),
    };
    const login = async (caller: string, user: string, password: string): Promise<string> => {
      try {
        const isRight = await gate.pass(
          { caller, controller, credentials: { kind: "basic", user, password } },
          () => {
            checks += 1;
            return Promise.resolve(password === right);
          },
          (outcome) => !outcome,
        );
        return isRight ? "in" : "wrong";
      } catch (error) {
        if (!(error instanceof TooManyRequestsError)) throw error;
        return `wait ${Math.ceil(error.retryAfterSeconds)}`;
      }
    };
    return { login, checks: () => checks };
  }

  test("too many of one name from one address: not even looked at, for a time that is told", async () => {
    const { login, checks } = gateWith("right");
    for (let n = 0; n < 3; n++) expect(await login("10.0.0.1", "alice", `${n}`)).toBe("wrong");
    expect(await login("10.0.0.1", "alice", "right")).toBe("wait 20");
    expect(checks()).toBe(3);
    // Neither the neighbour, nor somebody else behind the same address.
    expect(await login("10.0.0.2", "alice", "right")).toBe("in");
    expect(await login("10.0.0.1", "bob", "right")).toBe("in");
    nowMs += 20_000;
    expect(await login("10.0.0.1", "alice", "right")).toBe("in");
    // Who knows it starts anew.
    for (let n = 0; n < 3; n++) expect(await login("10.0.0.1", "alice", `${n}`)).toBe("wrong");
  });

  test("whose password was right a moment ago goes on", async () => {
    const { login } = gateWith("right", ["right"]);
    for (let n = 0; n < 3; n++) await login("10.0.1.1", "alice", `${n}`);
    expect(await login("10.0.1.1", "alice", "guess")).toStartWith("wait");
    expect(await login("10.0.1.1", "alice", "right")).toBe("in");
  });

  test("many names from one address: ten times as many, and a right one forgives none of them", async () => {
    const { login, checks } = gateWith("right");
    for (let n = 0; n < 29; n++) expect(await login("10.0.2.1", `u${n}`, "guess")).toBe("wrong");
    expect(await login("10.0.2.1", "mine", "right")).toBe("in");
    expect(await login("10.0.2.1", "u30", "guess")).toBe("wrong");
    expect(await login("10.0.2.1", "u31", "guess")).toStartWith("wait");
    expect(checks()).toBe(31);
  });

  test("guesses that come together are no more than those that come one after the other", async () => {
    const { login, checks } = gateWith("right");
    const guess = (n: number) => login("10.0.4.1", "alice", `${n}`);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => guess(n)));
    expect(checks()).toBe(3);
    expect(answers.filter((answer) => answer === "wrong")).toHaveLength(3);
    expect(answers.filter((answer) => answer === "wait 20")).toHaveLength(47);
    // So are those of many names.
    const names = Array.from({ length: 100 }, (_, n) => login("10.0.4.2", `u${n}`, "guess"));
    await Promise.all(names);
    expect(checks()).toBe(3 + 30);
  });

  test("right passwords that come together are all let in, and wait for no guess elsewhere", async () => {
    const { login } = gateWith("right");
    const all = Array.from({ length: 50 }, () => login("10.0.5.1", "alice", "right"));
    expect(new Set(await Promise.all(all))).toEqual(new Set(["in"]));
    const users = Array.from({ length: 100 }, (_, n) => login("10.0.5.1", `u${n}`, "right"));
    expect(new Set(await Promise.all(users))).toEqual(new Set(["in"]));
  });

  test("a right password forgives neighbours nothing while so many are known that they share", async () => {
    const { login } = gateWith("right");
    for (let n = 0; n < 5_000; n++) await login(`10.6.${n >> 8}.${n & 255}`, "alice", "guess");
    const guess = () => login("192.0.2.1", "alice", "guess");
    expect(await guess()).toBe("wrong");
    expect(await login("192.0.2.2", "mine", "right")).toBe("in");
    expect(await guess()).toBe("wrong");
    // Names and addresses that share count alike, so two are nearly three.
    expect(await guess()).toStartWith("wait");
  });

  test("nothing is counted where no passwords are taken", async () => {
    const gate = new LoginGate(() => options, now);
    const controller = { passwordRealm: null, decide: () => Promise.reject(new Error()) };
    const credentials = { kind: "basic", user: "a", password: "b" } as const;
    for (let n = 0; n < 100; n++) {
      const from = { caller: "10.0.3.1", controller, credentials };
      expect(
        await gate.pass(
          from,
          () => Promise.resolve(false),
          (ok) => !ok,
        ),
      ).toBe(false);
    }
  });
});
