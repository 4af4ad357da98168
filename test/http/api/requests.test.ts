// Requests of the API as they come: paths with names that hold slashes, methods, parameters, bodies, other
// sites, and what is logged of them.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { makeImage } from "../../support/images.ts";
import { anyText, rawAnswer, RawConnection, textLike } from "../harness.ts";
import { type Served, startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly detail?: unknown };
}

async function errorOf(response: Response): Promise<string> {
  const { error } = (await response.json()) as ErrorDocument;
  return `${response.status} ${error.code}`;
}

describe("requests", () => {
  let served: Served;
  beforeAll(async () => {
    served = await startServed();
    for (const name of ["a/b", "a/b/tags/c", "a/b/images"]) {
      await served.push.push(name, "c", makeImage("requests", [10]));
    }
  });
  afterAll(() => served[Symbol.asyncDispose]());

  test.each([
    ["/repositories/a/b", "a/b"],
    ["/repositories/a%2Fb", "a/b"],
    ["/repositories/a%2fb", "a/b"],
    ["/repositories/a/b/tags/c", "a/b/tags/c"],
    ["/repositories/a%2Fb%2Ftags/c", "a/b/tags/c"],
    ["/repositories/a/b/images", "a/b/images"],
  ])("%s is the repository %s", async (path, name) => {
    expect(await served.get<object>(path)).toMatchObject({ name });
  });

  test.each([
    ["/repositories/a/b/-/images/c", "a/b"],
    ["/repositories/a%2Fb/-/images/c", "a/b"],
    ["/repositories/a/b/tags/c/-/images/c", "a/b/tags/c"],
    ["/repositories/a%2Fb%2Ftags%2Fc/-/images/c", "a/b/tags/c"],
  ])("%s is an image of %s", async (path, repository) => {
    expect(await served.get<object>(path)).toMatchObject({ repository, tags: ["c"] });
  });

  test.each([
    ["/repositories/A", "400 NAME_INVALID"],
    ["/repositories/", "400 NAME_INVALID"],
    ["/repositories//b", "400 NAME_INVALID"],
    ["/repositories/a/b/", "400 NAME_INVALID"],
    ["/repositories/a/-", "400 NAME_INVALID"],
    ["/repositories/a%2F-%2Ftags", "400 NAME_INVALID"],
    ["/repositories/a%2F..%2Fb", "400 NAME_INVALID"],
    ["/repositories/a%00b/-/tags", "400 NAME_INVALID"],
    ["/repositories/a%zzb/-/tags", "400 INVALID_PATH"],
    ["/repositories/a%ff/-/tags", "400 INVALID_PATH"],
    [`/repositories/${"a".repeat(256)}`, "400 NAME_INVALID"],
    ["/repositories/nobody", "404 NAME_UNKNOWN"],
    ["/repositories/nobody/-/tags", "404 NAME_UNKNOWN"],
    ["/repositories/a/b/-/images/nothing", "404 MANIFEST_UNKNOWN"],
    ["/repositories/a/b/-/images/sha256:1", "400 DIGEST_INVALID"],
    [`/repositories/a/b/-/images/sha256:${"0".repeat(64)}`, "404 MANIFEST_UNKNOWN"],
    ["/repositories/a/b/-/nothing", "404 NOT_FOUND"],
    ["/repositories/a/b/-/tags/", "404 NOT_FOUND"],
    ["/repositories/a/b/-/images/c%2Fd", "404 MANIFEST_UNKNOWN"],
    ["/nothing", "404 NOT_FOUND"],
    ["//", "404 NOT_FOUND"],
    ["/collection/", "404 NOT_FOUND"],
  ])("%s is %s", async (path, expected) => {
    expect(await errorOf(await served.ask(path))).toBe(expected);
  });

  test.each([
    "/v2/../api/v1/",
    "/v2/%2e%2e/api/v1/repositories",
    "/x/./../api/v1/collection/start",
  ])(
    "%s is no way into the API: a proxy may have let it pass as something else",
    async (target) => {
      for (const method of ["GET", "POST", "DELETE"]) {
        const { status, body } = await rawAnswer(
          Number(new URL(served.origin).port),
          `${method} ${target} HTTP/1.1\r\nHost: x\r\nX-Plimsoll: 1\r\n\r\n`,
        );
        expect([status, body]).toEqual([400, expect.stringContaining("INVALID_PATH") as string]);
      }
    },
  );

  test("what only begins like the API is not the API's", async () => {
    for (const path of ["/api/v1x", "/api/v2/", "/api", "/api/v"]) {
      const response = await fetch(served.origin + path);
      expect(response.status).toBe(404);
      expect(await response.json()).toHaveProperty("errors");
    }
  });

  test.each([
    ["?limit=0", 'limit: expected a whole number from 1 to 1000 (given: "0")'],
    ["?limit=1001", 'limit: expected a whole number from 1 to 1000 (given: "1001")'],
    ["?limit=1.5", 'limit: expected a whole number from 1 to 1000 (given: "1.5")'],
    ["?limit=x", 'limit: expected a whole number from 1 to 1000 (given: "x")'],
    ["?limit=1&limit=2", "limit: given more than once"],
    ["?limits=1", "limits: not known here"],
    ["?search=", 'search: Too small: expected string to have >=1 characters (given: "")'],
    ["?search=*%22", 'search: "*"" is no glob'],
  ])("/repositories%s is a clear error", async (query, message) => {
    const response = await served.ask(`/repositories${query}`);
    const { error } = (await response.json()) as ErrorDocument;
    expect(response.status).toBe(400);
    expect(error.message).toStartWith(message);
  });

  test.each([
    "x",
    "e30",
    "W10",
    "WzFd",
    "a".repeat(1000),
    Buffer.from('["A"]').toString("base64url"),
  ])("the cursor %s is refused", async (cursor) => {
    const response = await served.ask(`/repositories?cursor=${cursor}`);
    expect(await errorOf(response)).toBe("400 INVALID_CURSOR");
  });

  test.each(["__proto__", "constructor", "hasOwnProperty"])(
    "the parameter %s is not known",
    async (name) => {
      const response = await served.ask(`/repositories?${name}=1`);
      expect(await errorOf(response)).toBe("400 INVALID_PARAMETER");
    },
  );

  test("methods: 405 with Allow, OPTIONS, HEAD", async () => {
    const cases = [
      ["/repositories", "GET, HEAD"],
      ["/collection/start", "POST"],
      ["/openapi.json", "GET, HEAD"],
    ] as const;
    for (const [path, allow] of cases) {
      const refused = await served.ask(path, { method: "PUT", headers: { "X-Plimsoll": "1" } });
      expect(refused.headers.get("allow")).toBe(allow);
      expect(await errorOf(refused)).toBe("405 METHOD_NOT_ALLOWED");
      const options = await served.ask(path, { method: "OPTIONS" });
      expect([options.status, options.headers.get("allow")]).toEqual([200, allow]);
    }
    expect((await served.ask("/collection/start")).status).toBe(405);
    for (const path of ["/repositories", "/openapi.json", "/collection/events", "/"]) {
      const head = await served.ask(path, { method: "HEAD" });
      expect([head.status, await head.text()]).toEqual([200, ""]);
    }
    const whole = await (await served.ask("/repositories")).text();
    const head = await served.ask("/repositories", { method: "HEAD" });
    expect(Number(head.headers.get("content-length"))).toBe(whole.length);
  });

  test("every answer is for its asker alone, and is what it says it is", async () => {
    for (const path of ["/", "/openapi.json", "/nothing", "/repositories/A"]) {
      const { headers } = await served.ask(path);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("content-type")).toBe("application/json; charset=utf-8");
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  test("what is asked for is in the log, under the request's id", async () => {
    const { headers } = await served.ask("/repositories?limit=1");
    const id = headers.get("x-request-id") ?? "";
    const line = served.lines.findLast(({ message }) => message === "response completed");
    expect(line?.fields).toMatchObject({
      "http.request.id": id,
      "http.request.uri": "/api/v1/repositories?limit=1",
      "http.response.status": 200,
    });
    await served.ask("/nothing");
    expect(served.lines.at(-1)).toMatchObject({
      message: "response completed with error",
      fields: { "err.code": "not found", "http.response.status": 404 },
    });
  });
});

describe("requests that change something", () => {
  let served: Served;
  beforeAll(async () => {
    served = await startServed();
  });
  afterAll(() => served[Symbol.asyncDispose]());
  const stop = (headers: Record<string, string>) =>
    served.ask("/collection/stop", { method: "POST", headers });

  test("need a header that a form on another page cannot send", async () => {
    expect(await errorOf(await stop({}))).toBe("403 CROSS_SITE");
    expect(await errorOf(await stop({ "X-Plimsoll": "" }))).toBe("403 CROSS_SITE");
    expect(await errorOf(await stop({ "X-Plimsoll": "1" }))).toBe("409 NOTHING_TO_STOP");
  });

  test("are refused where the browser says that another site asks", async () => {
    for (const site of ["cross-site", "same-site"]) {
      const headers = { "X-Plimsoll": "1", "Sec-Fetch-Site": site };
      expect(await errorOf(await stop(headers))).toBe("403 CROSS_SITE");
    }
    for (const site of ["same-origin", "none"]) {
      const headers = { "X-Plimsoll": "1", "Sec-Fetch-Site": site };
      expect(await errorOf(await stop(headers))).toBe("409 NOTHING_TO_STOP");
    }
  });

  test("bodies are bounded, JSON, and hold what is known", async () => {
    const start = (body: string, type = "application/json") =>
      served.ask("/collection/start", {
        method: "POST",
        body,
        headers: { "X-Plimsoll": "1", "Content-Type": type },
      });
    expect(await errorOf(await start("{"))).toBe("400 INVALID_BODY");
    expect(await errorOf(await start("[]"))).toBe("400 INVALID_BODY");
    expect(await errorOf(await start("{}", "text/plain"))).toBe("415 UNSUPPORTED_MEDIA_TYPE");
    expect(await errorOf(await start("{}", "application/x-www-form-urlencoded"))).toBe(
      "415 UNSUPPORTED_MEDIA_TYPE",
    );
    expect(await errorOf(await start(" ".repeat(70_000)))).toBe("413 BODY_TOO_LARGE");
    const response = await start('{"dryrun": true, "full": 1}');
    const { error } = (await response.json()) as ErrorDocument;
    expect(error.message).toContain("dryrun: not known here");
    expect(error.message).toContain("full: ");
    expect(error.message).toContain("(given: 1)");
  });

  test("a body without a length is cut off at the bound", async () => {
    const port = Number(new URL(served.origin).port);
    const connection = await RawConnection.open(port);
    connection.send(
      "POST /api/v1/collection/start HTTP/1.1\r\nHost: a\r\nX-Plimsoll: 1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    for (let n = 0; n < 17; n++) connection.send(`1000\r\n${" ".repeat(0x1000)}\r\n`);
    const { status, body } = await connection.answer();
    expect(status).toBe(413);
    expect(body).toContain("BODY_TOO_LARGE");
    connection.destroy();
  });

  test("leave an audit line: who, what, when, from where, and what came of it", async () => {
    const { headers } = await served.post("/verification/stop", {}, { "User-Agent": "tester/1" });
    const line = served.lines.findLast(({ message }) => message === "audit");
    expect(line).toEqual({
      level: "info",
      message: "audit",
      fields: {
        action: "stopVerification",
        repository: undefined,
        reference: undefined,
        by: "127.0.0.1",
        from: textLike(/^127\.0\.0\.1:\d+$/),
        userAgent: "tester/1",
        outcome: "refused: NOTHING_TO_STOP",
        status: 409,
        requestId: headers.get("x-request-id") ?? anyText,
      },
    });
    const before = served.lines.filter(({ message }) => message === "audit").length;
    await served.ask("/collection/start");
    await served.ask("/collection/start", { method: "OPTIONS" });
    expect(served.lines.filter(({ message }) => message === "audit")).toHaveLength(before);
  });
});

describe("the API switched off", () => {
  test("is nowhere, and /v2/ goes on", async () => {
    await using served = await startServed({ http: { api: { enabled: false } } });
    for (const path of ["", "/", "/repositories", "/openapi.json"]) {
      const response = await fetch(`${served.origin}/api/v1${path}`);
      expect([response.status, await response.json()]).toEqual([
        404,
        { errors: [{ code: "UNSUPPORTED", message: anyText }] },
      ]);
    }
    await served.push.push("a", "x", makeImage("off", [10]));
  });
});
