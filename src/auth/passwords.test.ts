import { describe, expect, test } from "bun:test";
import { UnavailableError } from "../oci/index.ts";
import { Passwords } from "./passwords.ts";

const hashOfPw = "$2y$05$H5EzAz5fD5NpINMvSHfWxeta4U52UrUnar3fEx0KA7ja524LN.ndW";

/** Checks that are counted, and end when they are told to. */
function checks() {
  const asked: { password: string; hash: string; end: (isRight: boolean) => void }[] = [];
  const verify = (password: Uint8Array, hash: string): Promise<boolean> =>
    new Promise((resolve) => {
      asked.push({ password: new TextDecoder().decode(password), hash, end: resolve });
    });
  return { asked, verify };
}

const source = (names: readonly string[] = ["alice"]) => ({
  version: 1,
  hashes: new Map(names.map((name) => [name, hashOfPw])),
});
const turn = () => Bun.sleep(0);

describe("passwords", () => {
  test("with real bcrypt: right, wrong, unknown, empty, NUL, longer than bcrypt takes", async () => {
    const passwords = new Passwords(source(), { now: () => 0 });
    expect(await passwords.areRight("alice", "pw")).toBe(true);
    expect(await passwords.areRight("alice", "no")).toBe(false);
    expect(await passwords.areRight("bob", "pw")).toBe(false);
    expect(await passwords.areRight("alice", "")).toBe(false);
    expect(await passwords.areRight("alice", "pw\0")).toBe(false);
    const long = "x".repeat(72);
    const hash = await Bun.password.hash(long, { algorithm: "bcrypt", cost: 4 });
    const of = new Passwords({ version: 1, hashes: new Map([["l", hash]]) }, { now: () => 0 });
    // Apache's htpasswd and the classic cut there, too.
    expect(await of.areRight("l", `${long}yz`)).toBe(true);
  });

  test("what a check was begun with counts only if it still is the user's when it ends", async () => {
    const { asked, verify } = checks();
    const users = { version: 1, hashes: new Map([["alice", hashOfPw]]) };
    const passwords = new Passwords(users, { now: () => 0 }, verify);
    const removed = passwords.areRight("alice", "pw");
    await turn();
    users.version = 2;
    users.hashes = new Map();
    asked[0]?.end(true);
    expect(await removed).toBe(false);
    // And one that has waited for its turn is checked against the file as it is then.
    users.hashes = new Map([["alice", hashOfPw]]);
    const others = ["a", "b"].map((user) => passwords.areRight(user, "pw"));
    const waiting = passwords.areRight("alice", "pw");
    await turn();
    const changed = hashOfPw.replace("H5E", "H6E");
    users.hashes = new Map([["alice", changed]]);
    asked[1]?.end(false);
    asked[2]?.end(false);
    await Promise.all(others);
    expect(asked[3]?.hash).toBe(changed);
    asked[3]?.end(true);
    expect(await waiting).toBe(true);
  });

  test("a flood of wrong ones makes nobody's right one forgotten", async () => {
    let checked = 0;
    const verify = (password: Uint8Array): Promise<boolean> => {
      checked += 1;
      return Promise.resolve(new TextDecoder().decode(password) === "pw");
    };
    const passwords = new Passwords(source(), { now: () => 0 }, verify);
    await passwords.areRight("alice", "pw");
    for (let n = 0; n < 5_000; n += 1) await passwords.areRight("alice", `no${n}`);
    const before = checked;
    expect(await passwords.areRight("alice", "pw")).toBe(true);
    expect(checked).toBe(before);
  });

  test("where costs differ, those of unknown users do too, and each keeps its own", async () => {
    let nowMs = 0;
    const costs: string[] = [];
    const verify = (_: Uint8Array, hash: string): Promise<boolean> => {
      costs.push(hash.slice(4, 6));
      return Promise.resolve(false);
    };
    const hashes = new Map([
      ["alice", hashOfPw],
      ["bob", hashOfPw.replace("$05$", "$10$")],
    ]);
    const passwords = new Passwords({ version: 1, hashes }, { now: () => nowMs }, verify);
    const ask = async (): Promise<string[]> => {
      costs.length = 0;
      for (let n = 0; n < 64; n += 1) await passwords.areRight(`nobody${n}`, "pw");
      return [...costs];
    };
    const first = await ask();
    expect([...new Set(first)].toSorted()).toEqual(["05", "10"]);
    nowMs += 60_000;
    expect(await ask()).toEqual(first);
  });

  test("a hundred requests of one pull cost one check, together or one after the other", async () => {
    const { asked, verify } = checks();
    const passwords = new Passwords(source(), { now: () => 0 }, verify);
    const all = Array.from({ length: 100 }, () => passwords.areRight("alice", "pw"));
    await turn();
    expect(asked).toHaveLength(1);
    asked[0]?.end(true);
    expect(await Promise.all(all)).toEqual(Array.from({ length: 100 }, () => true));
    expect(await passwords.areRight("alice", "pw")).toBe(true);
    expect(asked).toHaveLength(1);
  });

  test("a right one is remembered for minutes, a wrong one for seconds", async () => {
    const { asked, verify } = checks();
    let nowMs = 0;
    const passwords = new Passwords(source(), { now: () => nowMs }, verify);
    const ask = async (password: string, isRight: boolean): Promise<boolean> => {
      const answer = passwords.areRight("alice", password);
      await turn();
      asked.at(-1)?.end(isRight);
      return await answer;
    };
    await ask("pw", true);
    await ask("no", false);
    nowMs = 4_999;
    await ask("no", false);
    expect(asked).toHaveLength(2);
    nowMs = 5_000;
    await ask("no", false);
    expect(asked).toHaveLength(3);
    nowMs = 299_999;
    await ask("pw", true);
    expect(asked).toHaveLength(3);
    nowMs = 300_000;
    await ask("pw", true);
    expect(asked).toHaveLength(4);
  });

  test("a changed file forgets everything; a check of the old file is not believed of the new", async () => {
    const { asked, verify } = checks();
    const users = source();
    const passwords = new Passwords(users, { now: () => 0 }, verify);
    const old = passwords.areRight("alice", "pw");
    await turn();
    users.version = 2;
    // The file first, then the end of the check.
    asked[0]?.end(true);
    expect(await old).toBe(true);
    const again = passwords.areRight("alice", "pw");
    await turn();
    expect(asked).toHaveLength(2);
    asked[1]?.end(false);
    expect(await again).toBe(false);
    // Somebody else has met the new file while the check of the old one runs on.
    users.version = 20;
    const slow = passwords.areRight("alice", "slow");
    await turn();
    users.version = 21;
    const met = passwords.areRight("alice", "other");
    const anew = passwords.areRight("alice", "slow");
    await turn();
    asked[2]?.end(true);
    asked[3]?.end(false);
    await turn();
    // The same question of the new file is a check of its own, whatever the old one says.
    asked[4]?.end(false);
    expect(await Promise.all([slow, met, anew])).toEqual([true, false, false]);
    expect(asked.map(({ password }) => password)).toEqual(["pw", "pw", "slow", "other", "slow"]);
    users.version = 22;
    const last = passwords.areRight("alice", "last");
    await turn();
    users.version = 23;
    const bystander = passwords.areRight("alice", "bystander");
    await turn();
    asked[5]?.end(true);
    asked[6]?.end(true);
    await Promise.all([last, bystander]);
    const asksAgain = passwords.areRight("alice", "last");
    await turn();
    expect(asked).toHaveLength(8);
    asked[7]?.end(false);
    expect(await asksAgain).toBe(false);
    asked.length = 2;
    // The other order: remembered, then changed.
    users.version = 3;
    const third = passwords.areRight("alice", "pw");
    await turn();
    asked[2]?.end(true);
    expect(await third).toBe(true);
    users.version = 4;
    const fourth = passwords.areRight("alice", "pw");
    await turn();
    expect(asked).toHaveLength(4);
    asked[3]?.end(false);
    expect(await fourth).toBe(false);
  });

  test("an unknown user costs a check of the same cost, and is never right", async () => {
    const { asked, verify } = checks();
    const passwords = new Passwords(source(), { now: () => 0 }, verify);
    const unknown = passwords.areRight("bob", "pw");
    await turn();
    expect(asked).toHaveLength(1);
    expect(asked[0]?.hash).toStartWith("$2b$05$");
    expect(asked[0]?.hash).toHaveLength(60);
    asked[0]?.end(true);
    expect(await unknown).toBe(false);
    const empty = passwords.areRight("alice", "");
    await turn();
    expect(asked).toHaveLength(2);
    asked[1]?.end(true);
    expect(await empty).toBe(false);
  });

  test("two run at once, some wait, and the rest is told to come again", async () => {
    const { asked, verify } = checks();
    const passwords = new Passwords(source(), { now: () => 0 }, verify);
    const waiting = Array.from({ length: 66 }, (_, n) => passwords.areRight("alice", `${n}`));
    await turn();
    expect(asked).toHaveLength(2);
    expect(passwords.areRight("alice", "one too many")).rejects.toThrow(UnavailableError);
    for (let n = 0; n < 66; n++) {
      asked[n]?.end(false);
      await turn();
      expect(asked.length).toBeLessThanOrEqual(n + 3);
    }
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 66 }, () => false));
    const after = passwords.areRight("alice", "later");
    await turn();
    asked[66]?.end(true);
    expect(await after).toBe(true);
  });

  test("a check that fails is an error to all who asked, and not remembered", async () => {
    let isBroken = true;
    const verify = () => (isBroken ? Promise.reject(new Error("broken")) : Promise.resolve(true));
    const passwords = new Passwords(source(), { now: () => 0 }, verify);
    expect(passwords.areRight("alice", "pw")).rejects.toThrow("broken");
    await turn();
    isBroken = false;
    expect(await passwords.areRight("alice", "pw")).toBe(true);
  });
});
