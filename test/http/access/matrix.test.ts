// Every route and method × every kind of caller × every rule: who may, who is asked who they are, who is
// denied. And that what is refused tells nothing of what exists.
import { describe, expect, test } from "bun:test";
import { digestOf } from "../../../src/oci/index.ts";
import {
  type Guarded,
  documentedRules,
  htpasswdOnly,
  startGuarded,
  withIssuer,
} from "./guarded.ts";

const repositories = ["public/app", "team-a/app", "drop/app", "other/app"] as const;
type Repository = (typeof repositories)[number];
const callers = ["anonymous", "alice", "carol", "bob", "ops", "mallory"] as const;
type Caller = (typeof callers)[number];
type Action = "pull" | "push" | "delete";

/** By the documented rules, written out by hand. */
const rights: Readonly<Record<Repository, Readonly<Record<Action, readonly Caller[]>>>> = {
  "public/app": { pull: callers, push: ["ops"], delete: ["ops"] },
  "team-a/app": {
    pull: ["alice", "carol"],
    push: ["alice", "carol"],
    delete: ["alice", "carol"],
  },
  "drop/app": { pull: [], push: ["bob"], delete: [] },
  "other/app": { pull: [], push: [], delete: [] },
};

const digest = digestOf(Buffer.from("nothing that is there"));
const upload = crypto.randomUUID();

const requests: readonly (readonly [method: string, below: string, needs: readonly Action[]])[] = [
  ["GET", "manifests/v1", ["pull"]],
  ["HEAD", "manifests/v1", ["pull"]],
  ["GET", `manifests/${digest}`, ["pull"]],
  ["PUT", "manifests/v1", ["pull", "push"]],
  ["DELETE", "manifests/v1", ["delete"]],
  ["DELETE", `manifests/${digest}`, ["delete"]],
  ["GET", `blobs/${digest}`, ["pull"]],
  ["HEAD", `blobs/${digest}`, ["pull"]],
  ["DELETE", `blobs/${digest}`, ["delete"]],
  ["GET", "tags/list", ["pull"]],
  ["HEAD", "tags/list", ["pull"]],
  ["GET", "tags/list?n=5&last=a", ["pull"]],
  ["GET", `referrers/${digest}`, ["pull"]],
  ["POST", "blobs/uploads/", ["pull", "push"]],
  ["POST", "blobs/uploads", ["pull", "push"]],
  ["POST", `blobs/uploads/?digest=${digest}`, ["pull", "push"]],
  ["POST", `blobs/uploads/?mount=${digest}&from=public/app`, ["pull", "push"]],
  ["GET", `blobs/uploads/${upload}`, ["pull", "push"]],
  ["HEAD", `blobs/uploads/${upload}`, ["pull", "push"]],
  ["PATCH", `blobs/uploads/${upload}`, ["pull", "push"]],
  ["PUT", `blobs/uploads/${upload}?digest=${digest}`, ["pull", "push"]],
  ["DELETE", `blobs/uploads/${upload}`, ["pull", "push"]],
];

function expected(caller: Caller, repository: Repository, needs: readonly Action[]): string {
  if (needs.every((action) => rights[repository][action].includes(caller))) return "let in";
  return caller === "anonymous" ? "401" : "403";
}

async function outcome(response: Response): Promise<string> {
  const { status } = response;
  await response.arrayBuffer();
  if (status !== 401 && status !== 403) return status < 500 ? "let in" : String(status);
  return String(status);
}

/** With a right password, with a range, conditionally: none of it changes who may. */
const extras: readonly Record<string, string>[] = [
  {},
  { Range: "bytes=0-3" },
  { "If-None-Match": `"${digest}"` },
];

function login(caller: Caller): string | null {
  return caller === "anonymous" ? null : `${caller}:pw`;
}

async function tokenFor(guarded: Guarded, caller: Caller, scope: string): Promise<string> {
  const path = `/auth/token?service=plimsoll&scope=${encodeURIComponent(scope)}`;
  const response = await guarded.ask(path, login(caller));
  expect(response.status).toBe(200);
  return ((await response.json()) as { token: string }).token;
}

describe.each([
  ["by password", htpasswdOnly],
  ["by password where tokens are issued", withIssuer],
])("%s", (_, auth) => {
  test("every route × every caller × every rule", async () => {
    await using guarded = await startGuarded(`${auth}\n${documentedRules}`);
    const wrong: string[] = [];
    for (const caller of callers) {
      for (const repository of repositories) {
        const asked = requests.flatMap((one) =>
          extras.map((headers) => [headers, ...one] as const),
        );
        for (const [headers, method, below, needs] of asked) {
          const path = `/v2/${repository}/${below}`;
          const body = method === "PUT" || method === "PATCH" ? "{}" : null;
          const init = { method, headers, body };
          const got = await outcome(await guarded.ask(path, login(caller), init));
          const wanted = expected(caller, repository, needs);
          if (got !== wanted) wrong.push(`${caller} ${method} ${path}: ${got}, not ${wanted}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test("a wrong password is nobody's, also where everybody may", async () => {
    await using guarded = await startGuarded(`${auth}\n${documentedRules}`);
    for (const as of ["alice:no", "nobody:pw", "alice:", "not.a.token"]) {
      const response = await guarded.ask("/v2/public/app/tags/list", as);
      expect([as, response.status]).toEqual([as, 401]);
    }
  });

  test("without rules every login may do everything, and nobody else anything", async () => {
    await using guarded = await startGuarded(auth);
    for (const [method, below] of requests) {
      const path = `/v2/other/app/${below}`;
      const body = method === "PUT" || method === "PATCH" ? "{}" : null;
      const init = { method, body };
      expect(await outcome(await guarded.ask(path, null, init))).toBe("401");
      expect(await outcome(await guarded.ask(path, "mallory:pw", init))).toBe("let in");
    }
  });
});

describe("by tokens of the registry's own", () => {
  test("every route × every caller × every rule: a token grants what its caller may", async () => {
    await using guarded = await startGuarded(`${withIssuer}\n${documentedRules}`);
    const wrong: string[] = [];
    for (const caller of callers) {
      for (const repository of repositories) {
        const token = await tokenFor(guarded, caller, `repository:${repository}:pull,push,delete`);
        for (const [method, below, needs] of requests) {
          const path = `/v2/${repository}/${below}`;
          const body = method === "PUT" || method === "PATCH" ? "{}" : null;
          const got = await outcome(await guarded.ask(path, token, { method, body }));
          const wanted = expected(caller, repository, needs);
          if (got !== wanted) wrong.push(`${caller} ${method} ${path}: ${got}, not ${wanted}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test("a token grants no more than was asked for, and no other repository", async () => {
    await using guarded = await startGuarded(`${withIssuer}\n${documentedRules}`);
    const token = await tokenFor(guarded, "alice", "repository:team-a/app:pull");
    const get = await guarded.ask("/v2/team-a/app/tags/list", token);
    expect(get.status).toBe(404);
    const post = await guarded.ask("/v2/team-a/app/blobs/uploads/", token, { method: "POST" });
    expect(post.status).toBe(401);
    expect(post.headers.get("www-authenticate")).toEndWith(
      'service="plimsoll",scope="repository:team-a/app:pull,push",error="insufficient_scope"',
    );
    expect((await guarded.ask("/v2/team-a/other/tags/list", token)).status).toBe(401);
  });
});

describe("what is refused tells nothing", () => {
  test("there or not there: the same answer", async () => {
    await using guarded = await startGuarded(`${htpasswdOnly}\n${documentedRules}`);
    const { ask } = guarded;
    const begun = await ask("/v2/team-a/app/blobs/uploads/", "alice:pw", { method: "POST" });
    expect(begun.status).toBe(202);
    const paths = ["/v2/team-a/app/tags/list", "/v2/team-a/none/tags/list"];
    for (const as of [null, "mallory:pw"]) {
      const answers = await Promise.all(paths.map((path) => ask(path, as)));
      const bodies = await Promise.all(answers.map((answer) => answer.text()));
      expect(answers[0]?.status).toBe(answers[1]?.status);
      expect(bodies[0]?.replaceAll("team-a/app", "X")).toBe(
        bodies[1]?.replaceAll("team-a/none", "X"),
      );
    }
  });
});
