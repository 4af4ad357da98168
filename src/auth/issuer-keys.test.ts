import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IssuerKeys } from "./issuer-keys.ts";

const directory = mkdtempSync(join(tmpdir(), "plimsoll-keys-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
const dayMs = 24 * 3_600_000;

function keysAt(name: string, clock: { nowMs: number }) {
  const said: string[] = [];
  const say = (message: string): void => void said.push(message);
  const log = { info: say, warn: say, error: say };
  const path = join(directory, name);
  return { path, said, keys: new IssuerKeys(path, { now: () => clock.nowMs }, log) };
}

describe("the issuer's keys", () => {
  test("are made once, kept privately, and found again after a restart", async () => {
    const clock = { nowMs: 1_000 };
    const first = keysAt("restart", clock);
    await first.keys.open();
    const { kid } = await first.keys.signing();
    expect(statSync(first.path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(["restart"]);
    const second = keysAt("restart", clock);
    await second.keys.open();
    expect((await second.keys.signing()).kid).toBe(kid);
    expect(await second.keys.find({ kid })).toBeDefined();
    expect(await second.keys.find({ kid: "another" })).toBeUndefined();
    expect(await second.keys.find({})).toBeUndefined();
  });

  test("change every month, also at once for many; the old one is still checked with for a while", async () => {
    const clock = { nowMs: 1_000 };
    const { keys, path } = keysAt("turning", clock);
    await keys.open();
    const old = await keys.signing();
    clock.nowMs += 30 * dayMs;
    const all = await Promise.all(Array.from({ length: 5 }, () => keys.signing()));
    const young = new Set(all.map(({ kid }) => kid));
    expect(young.size).toBe(1);
    expect(young.has(old.kid)).toBe(false);
    expect(await keys.find({ kid: old.kid })).toBeDefined();
    clock.nowMs += 2 * dayMs;
    expect(await keys.find({ kid: old.kid })).toBeUndefined();
    clock.nowMs += 28 * dayMs;
    await keys.signing();
    const stored = JSON.parse(readFileSync(path, "utf8")) as { keys: { kid: string }[] };
    expect(stored.keys.map(({ kid }) => kid)).not.toContain(old.kid);
  });

  test("go on being changed where the file cannot be written: else nobody could log in", async () => {
    const clock = { nowMs: 1_000 };
    const { keys, said } = keysAt("no-such-directory/keys", clock);
    await keys.open();
    const { kid } = await keys.signing();
    expect(await keys.find({ kid })).toBeDefined();
    expect(said.join()).toContain("cannot be written");
    expect(said.join()).toContain("ENOENT");
    clock.nowMs += 30 * dayMs;
    expect((await keys.signing()).kid).not.toBe(kid);
    expect(await keys.find({ kid })).toBeDefined();
  });

  test("that others could read are made anew; what a half-written file allowed is taken back", async () => {
    const clock = { nowMs: 1_000 };
    const first = keysAt("open", clock);
    await first.keys.open();
    const { kid } = await first.keys.signing();
    chmodSync(first.path, 0o644);
    writeFileSync(`${first.path}.new`, "", { mode: 0o666 });
    chmodSync(`${first.path}.new`, 0o666);
    const second = keysAt("open", clock);
    await second.keys.open();
    expect(second.said.join()).toContain("others on this machine can read it");
    expect(await second.keys.find({ kid })).toBeUndefined();
    expect(statSync(first.path).mode & 0o777).toBe(0o600);
  });

  test.each([
    `{"keys":[{"kid":"a","madeAtMs":1,"jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"secret-part"}}]}`,
    "",
    "{}",
    '{"keys":[{"kid":"a","madeAtMs":1,"jwk":{"d":"secret-part"}}]}',
  ])("a file that holds %p is made anew, and not quoted", async (text) => {
    const { keys, path, said } = keysAt("broken", { nowMs: 1_000 });
    writeFileSync(path, text, { mode: 0o600 });
    await keys.open();
    expect(await keys.signing()).toBeDefined();
    expect(said.join()).toContain("new keys are made");
    expect(said.join()).not.toContain("secret-part");
  });
});
