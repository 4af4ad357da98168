// Robot tokens as passwords: their own rights, their end, their revocation, and what is kept of them.
import { describe, expect, test } from "bun:test";
import { runTokenCommand, type TokenEvent } from "../../../src/auth/index.ts";
import {
  type Guarded,
  documentedRules,
  htpasswdOnly,
  startGuarded,
  withIssuer,
} from "./guarded.ts";

async function command(guarded: Guarded, options: object): Promise<TokenEvent[]> {
  const events: TokenEvent[] = [];
  await runTokenCommand(
    { index: guarded.index, nowMs: guarded.clock.nowMs },
    options,
    async (event) => {
      events.push(event);
    },
  );
  return events;
}

async function create(
  guarded: Guarded,
  more: object = {},
): Promise<{ id: string; password: string }> {
  const [event] = await command(guarded, {
    kind: "create",
    user: "ci",
    repositories: ["ci/**"],
    actions: ["pull", "push"],
    lifeMs: 3_600_000,
    ...more,
  });
  if (event?.kind !== "created") throw new Error("no token was made");
  return { id: event.token.id, password: event.password };
}

const push = { method: "POST" };
const hourMs = 3_600_000;

describe.each([
  ["by password", htpasswdOnly],
  ["with rules", `${htpasswdOnly}\n${documentedRules}`],
  ["where tokens are issued", `${withIssuer}\n${documentedRules}`],
])("a robot token %s", (_, yaml) => {
  test("may what it says, and nothing else", async () => {
    await using guarded = await startGuarded(yaml);
    const { password } = await create(guarded);
    const status = async (path: string, init?: RequestInit): Promise<number> =>
      (await guarded.ask(path, `ci:${password}`, init)).status;
    expect(await status("/v2/")).toBe(200);
    expect(await status("/v2/ci/app/blobs/uploads/", push)).toBe(202);
    expect(await status("/v2/ci/none/tags/list")).toBe(404);
    expect(await status("/v2/ci/app/manifests/v1", { method: "DELETE" })).toBe(403);
    expect(await status("/v2/team-a/app/tags/list")).toBe(403);
    expect(await status("/v2/_catalog")).toBe(200);
    const everybody = yaml.includes("public") ? 404 : 403;
    expect(await status("/v2/public/app/tags/list")).toBe(everybody);
  });

  test("is its user's alone, ends, and is revoked at once", async () => {
    await using guarded = await startGuarded(yaml);
    const { id, password } = await create(guarded);
    const status = async (as: string): Promise<number> => (await guarded.ask("/v2/", as)).status;
    expect(await status(`ci:${password}`)).toBe(200);
    expect(await status(`alice:${password}`)).toBe(401);
    expect(await status(`ci:${password.slice(0, -1)}`)).toBe(401);
    expect(await status(`ci:${password}x`)).toBe(401);
    const other = await create(guarded);
    const mixed = `plimsoll_${id}_${other.password.slice(-43)}`;
    expect(await status(`ci:${mixed}`)).toBe(401);
    guarded.clock.nowMs += hourMs;
    expect(await status(`ci:${password}`)).toBe(401);
    guarded.clock.nowMs -= 1;
    expect(await status(`ci:${password}`)).toBe(200);
    expect(await command(guarded, { kind: "revoke", id })).toEqual([{ kind: "revoked", id }]);
    expect(await status(`ci:${password}`)).toBe(401);
    expect(await command(guarded, { kind: "revoke", id })).toEqual([{ kind: "unknown", id }]);
  });
});

test("what was issued for a token ends with it, revoked or expired", async () => {
  await using guarded = await startGuarded(`${withIssuer}\n${documentedRules}`);
  const { id, password } = await create(guarded);
  const path = "/auth/token?scope=repository:ci/app:pull,push,delete";
  const answer = await guarded.ask(path, `ci:${password}`);
  const { token, scope } = (await answer.json()) as { token: string; scope: string };
  expect(scope).toBe("repository:ci/app:pull,push");
  const status = async (): Promise<number> =>
    (await guarded.ask("/v2/ci/app/blobs/uploads/", token, push)).status;
  expect(await status()).toBe(202);
  await command(guarded, { kind: "revoke", id });
  expect(await status()).toBe(401);
});

test("its last use is noted, at most once an hour; only a hash of the secret is kept", async () => {
  await using guarded = await startGuarded(htpasswdOnly);
  const { id, password } = await create(guarded, { lifeMs: null });
  const secret = password.split("_").at(-1) ?? "";
  const list = async () => await guarded.index.listTokens({ after: null, limit: 9 });
  expect(JSON.stringify(await list())).not.toContain(secret);
  expect(JSON.stringify(await command(guarded, { kind: "list" }))).not.toContain("secretHash");
  const used = async (): Promise<number | null> => {
    await guarded.ask("/v2/", `ci:${password}`);
    await Bun.sleep(5);
    return (await guarded.index.findToken(id))?.lastUsedAtMs ?? null;
  };
  const first = guarded.clock.nowMs;
  expect(await used()).toBe(first);
  guarded.clock.nowMs += hourMs - 1;
  expect(await used()).toBe(first);
  guarded.clock.nowMs += 1;
  expect(await used()).toBe(first + hourMs);
});

test("requests that no command of ours makes are refused", async () => {
  await using guarded = await startGuarded(htpasswdOnly);
  for (const more of [
    { actions: ["fly"] },
    { user: "" },
    { repositories: ["a b"] },
    { lifeMs: -1 },
  ]) {
    expect(create(guarded, more)).rejects.toThrow();
  }
  expect(await guarded.index.listTokens({ after: null, limit: 9 })).toEqual([]);
});
