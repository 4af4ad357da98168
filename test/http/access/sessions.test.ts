// An upload session belongs to its repository and to its user, whatever the user's credentials are.
import { describe, expect, test } from "bun:test";
import { makeRobotToken } from "../../../src/auth/robot-tokens.ts";
import { digestOf } from "../../../src/oci/index.ts";
import { errorIn, withParameter } from "../harness.ts";
import { type Guarded, htpasswdOnly, startGuarded, withIssuer } from "./guarded.ts";

const shared = `access:
  - { repositories: ["open/**"], users: ["*"], actions: [pull, push] }
  - { repositories: ["team/**"], users: [alice, bob], actions: [pull, push, delete] }
  - { repositories: ["**"], users: [ops], actions: [pull, push, delete] }
  - { users: [ops], actions: [admin] }`;
const content = "the bytes of a blob";
const digest = digestOf(Buffer.from(content));

async function begun(guarded: Guarded, repository: string, as: string | null): Promise<string> {
  const answer = await guarded.ask(`/v2/${repository}/blobs/uploads/`, as, { method: "POST" });
  expect(answer.status).toBe(202);
  return (answer.headers.get("location") ?? "").replace(/^https?:\/\/[^/]+/, "");
}

function requestsOf(location: string): readonly (readonly [string, RequestInit])[] {
  const last = withParameter(location, "digest", digest);
  const range = { "Content-Range": "7-25" };
  return [
    [location, { method: "GET" }],
    [location, { method: "HEAD" }],
    [location, { method: "PATCH", body: content }],
    [location, { method: "PATCH", body: content, headers: range }],
    [location, { method: "PATCH", body: content, headers: { "Content-Range": "nonsense" } }],
    [last, { method: "PUT" }],
    [last, { method: "PUT", body: content }],
    [last, { method: "PUT", body: content, headers: range }],
    [withParameter(location, "digest", digestOf(Buffer.from("other"))), { method: "PUT" }],
    [location, { method: "DELETE" }],
  ];
}

/** Whatever somebody else does to it, it answers as one that is not there. */
async function expectUnknown(guarded: Guarded, location: string, as: string): Promise<void> {
  // Without a signature, which nobody but the registry could make for a session that is not there.
  const unsigned = location.replace(/\?.*/, "");
  const absent = unsigned.replace(/[0-9a-f-]{36}/, crypto.randomUUID());
  expect((await guarded.ask(location, as)).status).toBe(404);
  const [real, none] = await Promise.all(
    [unsigned, absent].map(async (where) => {
      const answers: unknown[] = [];
      for (const [path, init] of requestsOf(where)) {
        const answer = await guarded.ask(path, as, init);
        const headers = [...answer.headers].filter(([name]) => name !== "date");
        const body = (await answer.text()).replaceAll(/[0-9a-f-]{36}/g, "ID");
        answers.push([init.method, answer.status, headers, body]);
        expect(answer.status).toBe(404);
      }
      return answers;
    }),
  );
  expect(real).toEqual(none ?? []);
}

async function finishes(guarded: Guarded, location: string, as: string | null): Promise<void> {
  const part = await guarded.ask(location, as, { method: "PATCH", body: content });
  expect([part.status, part.headers.get("range")]).toEqual([202, `0-${content.length - 1}`]);
  const path = withParameter(location, "digest", digest);
  expect((await guarded.ask(path, as, { method: "PUT" })).status).toBe(201);
}

for (const [what, auth] of [
  ["passwords", htpasswdOnly],
  ["passwords, signed locations", `http: {secret: s3cret}\n${htpasswdOnly}`],
] as const) {
  test(`by ${what}: somebody else's is unknown, and goes on unharmed`, async () => {
    await using guarded = await startGuarded(`${auth}\n${shared}`);
    const location = await begun(guarded, "team/app", "alice:pw");
    await expectUnknown(guarded, location, "bob:pw");
    // Nor is it an admin's.
    await expectUnknown(guarded, location, "ops:pw");
    const other = location.replace("team/app", "team/other");
    expect((await guarded.ask(other, "alice:pw")).status).not.toBe(204);
    await finishes(guarded, location, "alice:pw");
  });
}

test("whoever is not logged in has none of somebody's, and everybody goes on with nobody's", async () => {
  await using guarded = await startGuarded(`${htpasswdOnly}\n${shared}`);
  const alices = await begun(guarded, "open/app", "alice:pw");
  const answer = await guarded.ask(alices, null);
  expect(answer.status).toBe(404);
  expect((await errorIn(answer)).code).toBe("BLOB_UPLOAD_UNKNOWN");
  await finishes(guarded, alices, "alice:pw");
  await finishes(guarded, await begun(guarded, "open/app", null), "bob:pw");
});

describe("by tokens of the registry's own", () => {
  async function tokenFor(guarded: Guarded, as: string | null): Promise<string> {
    const path = "/auth/token?scope=repository:team/app:pull,push repository:open/app:pull,push";
    const answer = await guarded.ask(path, as);
    return ((await answer.json()) as { token: string }).token;
  }

  test("it is the user's, whichever token of theirs is shown, or their password", async () => {
    await using guarded = await startGuarded(`${withIssuer}\n${shared}`);
    const { clock } = guarded;
    const location = await begun(guarded, "team/app", await tokenFor(guarded, "alice:pw"));
    await expectUnknown(guarded, location, await tokenFor(guarded, "bob:pw"));
    clock.nowMs += 1_000;
    expect((await guarded.ask(location, "alice:pw")).status).toBe(204);
    await finishes(guarded, location, await tokenFor(guarded, "alice:pw"));
    const nobodys = await begun(guarded, "open/app", await tokenFor(guarded, null));
    await finishes(guarded, nobodys, await tokenFor(guarded, "bob:pw"));
  });

  test("a robot's is the user's that it is named for", async () => {
    await using guarded = await startGuarded(`${withIssuer}\n${shared}`);
    const robot = async (user: string): Promise<string> => {
      const { token, password } = makeRobotToken({
        user,
        repositories: ["team/**"],
        actions: ["pull", "push"],
        createdAtMs: guarded.clock.nowMs,
        expiresAtMs: null,
      });
      await guarded.index.createToken(token);
      return `${user}:${password}`;
    };
    const [one, again, other] = [await robot("ci"), await robot("ci"), await robot("cd")];
    const location = await begun(guarded, "team/app", one);
    await expectUnknown(guarded, location, other);
    await expectUnknown(guarded, location, await tokenFor(guarded, other));
    await finishes(guarded, location, await tokenFor(guarded, again));
  });
});
