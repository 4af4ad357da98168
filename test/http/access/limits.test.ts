// `http.limits` where users log in: by user wherever they come from, and logins that fail.
import { describe, expect, test } from "bun:test";
import { errorIn, type OciErrorBody } from "../harness.ts";
import { type Guarded, htpasswdOnly, startGuarded, withLogin } from "./guarded.ts";

const issuer = htpasswdOnly.replace(/\}$/, ", issuer: {service: s}}");

function start(limits: string, auth = htpasswdOnly): Promise<Guarded> {
  return startGuarded(`${auth}\nhttp: {trustedproxies: [127.0.0.1], limits: ${limits}}`);
}

function as(user: string, address: string): RequestInit {
  const headers = withLogin(user);
  headers.set("X-Forwarded-For", address);
  return { headers };
}

async function statusOf({ harness }: Guarded, path: string, init: RequestInit): Promise<number> {
  return (await harness.ask(path, init)).status;
}

describe("requests of a user", () => {
  test("count wherever they come from; other users' do not", async () => {
    await using guarded = await start("{user: {requests: 1, burst: 2}}");
    const ask = (user: string, address: string) => statusOf(guarded, "/v2/", as(user, address));
    expect(await ask("alice:pw", "10.0.0.1")).toBe(200);
    expect(await ask("alice:pw", "10.0.0.2")).toBe(200);
    expect(await ask("alice:pw", "10.0.0.3")).toBe(429);
    expect(await ask("bob:pw", "10.0.0.3")).toBe(200);
    guarded.clock.nowMs += 1_000;
    expect(await ask("alice:pw", "10.0.0.3")).toBe(200);
  });

  test("of somebody who is none are not the user's", async () => {
    await using guarded = await start("{user: {requests: 1, burst: 1}}");
    const ask = (login: string) => statusOf(guarded, "/v2/", as(login, "10.0.0.1"));
    for (let n = 0; n < 5; n++) expect(await ask("alice:guess")).toBe(401);
    expect(await ask("alice:pw")).toBe(200);
  });
});

describe("logins that fail", () => {
  test("too many: 429 before the password is looked at, for that name and address", async () => {
    await using guarded = await start("{logins: {failures: 3, window: 1m}}");
    const ask = (login: string, address: string) => {
      return guarded.harness.ask("/v2/", as(login, address));
    };
    for (let n = 0; n < 3; n++) {
      expect((await ask(`alice:guess${n}`, "10.0.0.1")).status).toBe(401);
    }
    const refused = await ask("alice:pw", "10.0.0.1");
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("20");
    const { code, message } = await errorIn(refused);
    expect(code).toBe("TOOMANYREQUESTS");
    expect(message).toMatch(
      /^too many logins from your address have failed \(http\.limits\.logins/,
    );
    expect(message).not.toContain("alice");
    expect((await ask("bob:pw", "10.0.0.1")).status).toBe(200);
    expect((await ask("alice:pw", "10.0.0.2")).status).toBe(200);
    guarded.clock.nowMs += 20_000;
    expect((await ask("alice:pw", "10.0.0.1")).status).toBe(200);
  });

  test("a pull that is under way goes on, though somebody behind the same address guesses", async () => {
    await using guarded = await start("{logins: {failures: 3, window: 1m}}");
    const ask = (login: string) => statusOf(guarded, "/v2/", as(login, "10.0.0.1"));
    expect(await ask("alice:pw")).toBe(200);
    for (let n = 0; n < 10; n++) await ask(`alice:guess${n}`);
    expect(await ask("alice:guess")).toBe(429);
    expect(await ask("alice:pw")).toBe(200);
  });

  test("who asks without a login, as every client does at first, has not failed", async () => {
    await using guarded = await start("{logins: {failures: 1, window: 1h}}");
    for (let n = 0; n < 20; n++) {
      const init = { headers: { "X-Forwarded-For": "10.0.0.1" } };
      expect(await statusOf(guarded, "/v2/app/tags/list", init)).toBe(401);
    }
    expect(await statusOf(guarded, "/v2/", as("alice:pw", "10.0.0.1"))).toBe(200);
  });

  test("at the registry's own token endpoint, and over the API, they count together", async () => {
    await using guarded = await start("{logins: {failures: 2, window: 1h}}", issuer);
    const { harness } = guarded;
    const wrong = as("alice:guess", "10.0.0.1");
    expect(await statusOf(guarded, "/auth/token?service=s", wrong)).toBe(401);
    const form = new URLSearchParams({ grant_type: "password", username: "alice", password: "no" });
    const posted = await harness.ask("/auth/token", {
      method: "POST",
      body: form,
      headers: { "X-Forwarded-For": "10.0.0.1" },
    });
    expect(posted.status).toBe(401);
    const refused = await harness.ask("/auth/token?service=s", as("alice:pw", "10.0.0.1"));
    expect(refused.status).toBe(429);
    expect(((await refused.json()) as OciErrorBody).errors[0]?.code).toBe("TOOMANYREQUESTS");
    expect(await statusOf(guarded, "/v2/", as("alice:pw", "10.0.0.1"))).toBe(429);
  });
});
