// Requests as they come over the wire: odd paths, odd methods, bodies that are refused, cut or
// slow.
import { describe, expect, test } from "bun:test";
import { digestOf } from "../../src/oci/index.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import {
  anyNumber,
  anyText,
  type OciErrorBody,
  rawAnswer,
  RawConnection,
  startHarness,
  textLike,
} from "./harness.ts";

const digest = digestOf(Buffer.from("hello"));

function codeIn(body: string): string | undefined {
  return (JSON.parse(body) as OciErrorBody).errors[0]?.code;
}

async function askRaw(target: string, host = "Host: r.example.com\r\n") {
  await using harness = await startHarness(createFakeRegistry);
  return await rawAnswer(harness.server.port, `GET ${target} HTTP/1.1\r\n${host}\r\n`);
}

describe("the entry points", () => {
  test("/ is alive, /v2 and /v2/ speak the API", async () => {
    await using harness = await startHarness(createFakeRegistry);
    const root = await harness.ask("/");
    expect([root.status, await root.text()]).toEqual([200, ""]);
    for (const path of ["/v2", "/v2/", "/v2/?x=y"]) {
      const base = await harness.ask(path);
      expect([base.status, await base.text()]).toEqual([200, "{}"]);
      expect(base.headers.get("content-type")).toBe("application/json; charset=utf-8");
      expect(base.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
      expect(base.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  test("what is nowhere is 404 in the OCI form", async () => {
    await using harness = await startHarness(createFakeRegistry);
    for (const path of ["/v1/", "/v2/app", "/v2/app/tags", "/v3/app/tags/list", "/v2x"]) {
      const response = await harness.ask(path);
      expect([path, response.status]).toEqual([path, 404]);
      expect(codeIn(await response.text())).toBe("UNSUPPORTED");
    }
  });

  test("configured headers are on every answer and give way to an answer's own", async () => {
    const headers = {
      "access-control-allow-origin": ["*"],
      "X-Two": ["a", "b"],
      "content-type": ["text/evil"],
    };
    await using harness = await startHarness(createFakeRegistry, { headers });
    for (const path of ["/", "/v2/", "/v2/x/tags/list", "/nowhere"]) {
      const response = await harness.ask(path);
      expect(response.headers.get("access-control-allow-origin")).toBe("*");
      expect(response.headers.get("x-two")).toBe("a, b");
      if (path !== "/")
        expect(response.headers.get("content-type")).toStartWith("application/json");
    }
  });
});

describe("paths", () => {
  test.each([
    ["/v2/FOO/tags/list", "NAME_INVALID"],
    ["/v2/foo//bar/tags/list", "NAME_INVALID"],
    ["/v2//tags/list", "NAME_INVALID"],
    ["/v2/a%2fb/tags/list", "NAME_INVALID"],
    ["/v2/a%5Cb/tags/list", "NAME_INVALID"],
    ["/v2/a%00/tags/list", "NAME_INVALID"],
    ["/v2/%zz/tags/list", "NAME_INVALID"],
    ["/v2/%ff/tags/list", "NAME_INVALID"],
    ["/v2/%2e%2e/%2e%2e/tags/list", "UNSUPPORTED"],
    ["/v2/app/manifests/%2e%2e", "UNSUPPORTED"],
    [`/v2/${"a".repeat(256)}/tags/list`, "NAME_INVALID"],
    ["/v2/app/blobs/uploads/../../../etc", "UNSUPPORTED"],
    ["/v2/../../etc/passwd", "UNSUPPORTED"],
    ["/v2/\xff\xfe/tags/list", "NAME_INVALID"],
    ["http://elsewhere/v2/FOO/tags/list", "NAME_INVALID"],
  ])("%s is refused without a server error", async (target, code) => {
    const { status, body } = await askRaw(target);
    expect([400, 404]).toContain(status);
    expect(codeIn(body)).toBe(code);
  });

  test.each(["", "Host: \r\n", "Host: a b\r\n", "Host: u@h:99999\r\n", "Host: a/b?c\r\n"])(
    "with the Host line %p the path is understood all the same",
    async (host) => {
      // Without a Host line only HTTP/1.0 is allowed.
      await using harness = await startHarness(createFakeRegistry);
      const version = host === "" ? "1.0" : "1.1";
      const ask = (request: string) => {
        const text = `${request} HTTP/${version}\r\n${host}Content-Length: 0\r\n\r\n`;
        return rawAnswer(harness.server.port, text);
      };
      expect((await ask("GET /v2/")).body).toBe("{}");
      expect(codeIn((await ask("GET /v2/app/../x/tags/list")).body)).toBe("NAME_INVALID");
      const begun = await ask("POST /v2/app/blobs/uploads/");
      expect(begun.headers.get("location")).toStartWith("/v2/app/blobs/uploads/");
    },
  );
});

describe("methods", () => {
  test("one that an endpoint has not is 405 with Allow", async () => {
    await using harness = await startHarness(createFakeRegistry);
    const allow: [string, string, string][] = [
      ["POST", "/v2/app/manifests/v1", "DELETE, GET, HEAD, PUT"],
      ["PUT", "/v2/app/tags/list", "GET, HEAD"],
      ["DELETE", "/v2/_catalog", "GET, HEAD"],
      ["POST", `/v2/app/blobs/${digest}`, "DELETE, GET, HEAD"],
      ["GET", "/v2/app/blobs/uploads/", "POST"],
      ["POST", "/v2/app/blobs/uploads/x", "DELETE, GET, HEAD, PATCH, PUT"],
      ["TRACE", "/v2/", "GET, HEAD"],
    ];
    for (const [method, path, expected] of allow) {
      const request = `${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`;
      const response = await rawAnswer(harness.server.port, request);
      expect([method, path, response.status]).toEqual([method, path, 405]);
      expect(response.headers.get("allow")).toBe(expected);
      expect(codeIn(response.body)).toBe("UNSUPPORTED");
    }
  });

  test("OPTIONS is 200 with Allow and the configured headers, for browsers", async () => {
    const headers = { "Access-Control-Allow-Origin": ["https://ui.example.com"] };
    await using harness = await startHarness(createFakeRegistry, { headers });
    const response = await harness.ask("/v2/app/tags/list", { method: "OPTIONS" });
    expect(response.status).toBe(200);
    expect(response.headers.get("allow")).toBe("GET, HEAD");
    expect(response.headers.get("access-control-allow-origin")).toBe("https://ui.example.com");
  });
});

describe("a body that is refused", () => {
  // The bodies are announced and not sent: an answer proves that nobody waited for them.
  const large = "Content-Length: 99999999999\r\n";
  const chunked = "Transfer-Encoding: chunked\r\n";
  const bad = `POST /v2/app/blobs/uploads/?digest=nonsense`;
  const unknown = `PATCH /v2/app/blobs/uploads/0dd7a2d8-0000-4000-8000-000000000000`;
  const refusals: Record<string, { request: string; readOnly?: boolean; status: number }> = {
    "read-only": { request: "POST /v2/app/blobs/uploads/", readOnly: true, status: 405 },
    "a bad digest": { request: bad, status: 400 },
    "an unknown upload": { request: unknown, status: 404 },
    "a bad _state": { request: `${unknown}?_state=x`, status: 404 },
    "a bad tag": { request: "PUT /v2/app/manifests/.bad", status: 400 },
    "another method": { request: `PUT /v2/app/blobs/${digest}`, status: 405 },
    "no such path": { request: "PUT /nowhere", status: 404 },
  };
  test.each(Object.keys(refusals))("for %s is refused before it arrives", async (why) => {
    const { request, readOnly = false, status } = refusals[why] ?? { request: "", status: 0 };
    for (const framing of [large, chunked]) {
      await using harness = await startHarness(createFakeRegistry, { readOnly });
      const text = `${request} HTTP/1.1\r\nHost: a\r\n${framing}\r\n`;
      expect((await rawAnswer(harness.server.port, text)).status).toBe(status);
    }
  });

  test("a manifest that is announced too large is 413 before it arrives", async () => {
    await using harness = await startHarness(createFakeRegistry);
    const text = `PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: a\r\n${large}\r\n`;
    expect((await rawAnswer(harness.server.port, text)).status).toBe(413);
  });

  test("a Content-Range that disagrees with Content-Length is 400 before it arrives", async () => {
    await using harness = await startHarness(createFakeRegistry);
    const text = `${unknown} HTTP/1.1\r\nHost: a\r\nContent-Range: 0-4\r\n${large}\r\n`;
    const { status, body } = await rawAnswer(harness.server.port, text);
    expect([status, codeIn(body)]).toEqual([400, "SIZE_INVALID"]);
  });

  test.each(["Content-Length: 5\r\n\r\nhello", `${chunked}\r\n5\r\nhello\r\n0\r\n\r\n`])(
    "leaves the connection usable: %p",
    async (body) => {
      await using harness = await startHarness(createFakeRegistry, { readOnly: true });
      const connection = await RawConnection.open(harness.server.port);
      const refused = `POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: a\r\n${body}`;
      connection.send(refused + "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
      expect((await connection.answer()).status).toBe(405);
      expect((await connection.answer()).body).toBe("{}");
      connection.destroy();
    },
  );

  test("Expect: 100-continue is answered, then refused", async () => {
    await using harness = await startHarness(createFakeRegistry, { readOnly: true });
    const connection = await RawConnection.open(harness.server.port);
    connection.send(
      `POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n${large}\r\n`,
    );
    const first = await connection.answer();
    const last = first.status === 100 ? await connection.answer() : first;
    expect(last.status).toBe(405);
    connection.destroy();
  });
});

describe("a body that stops", () => {
  test("leaves what arrived, is logged as gone, and the upload can be continued", async () => {
    await using harness = await startHarness(createFakeRegistry);
    const begun = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    const location = begun.headers.get("location") ?? "";
    const { pathname, search } = new URL(location);
    const connection = await RawConnection.open(harness.server.port);
    connection.send(
      `PATCH ${pathname}${search} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel`,
    );
    // The part must have arrived before the client goes away: an answer on another connection
    // tells.
    await harness.ask("/v2/");
    connection.destroy();
    const isGone = () => harness.lines.find(({ fields }) => fields["http.response.status"] === 499);
    while (isGone() === undefined) await Bun.sleep(1);
    expect(isGone()?.level).toBe("info");
    const rest = { "Content-Range": "3-4" };
    const patched = await harness.go(location, { method: "PATCH", body: "lo", headers: rest });
    expect([patched.status, patched.headers.get("range")]).toEqual([202, "0-4"]);
    const put = await harness.go(`${location}&digest=${digest}`, { method: "PUT" });
    expect(put.status).toBe(201);
    expect(harness.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("in one request leaves no session behind", async () => {
    const registry = createFakeRegistry();
    await using harness = await startHarness(() => registry);
    const connection = await RawConnection.open(harness.server.port);
    const path = `/v2/app/blobs/uploads/?digest=${digest}`;
    connection.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel`);
    while (registry.openUploads() === 0) await Bun.sleep(1);
    connection.destroy();
    while (registry.openUploads() > 0) await Bun.sleep(1);
    const wrong = await harness.ask(path, { method: "POST", body: "other" });
    expect(wrong.status).toBe(400);
    expect(registry.openUploads()).toBe(0);
  });

  test("that falls silent is 408, and what arrived can be continued", async () => {
    await using harness = await startHarness(createFakeRegistry, { bodySilenceMs: 20 });
    const begun = await harness.ask("/v2/app/blobs/uploads/", { method: "POST" });
    const location = begun.headers.get("location") ?? "";
    const { pathname, search } = new URL(location);
    const connection = await RawConnection.open(harness.server.port);
    connection.send(
      `PATCH ${pathname}${search} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel`,
    );
    const answer = await connection.answer();
    expect([answer.status, codeIn(answer.body)]).toEqual([408, "BLOB_UPLOAD_INVALID"]);
    connection.destroy();
    expect((await harness.go(location)).headers.get("range")).toBe("0-2");
  });

  test("a chunk that never comes holds up nobody else", async () => {
    await using harness = await startHarness(createFakeRegistry);
    const slow = await RawConnection.open(harness.server.port);
    const path = `/v2/app/blobs/uploads/?digest=${digest}`;
    slow.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n`);
    expect((await harness.ask("/v2/")).status).toBe(200);
    slow.send("2\r\nlo\r\n0\r\n\r\n");
    expect((await slow.answer()).status).toBe(201);
    slow.destroy();
  });
});

describe("who asks", () => {
  test("HEAD leases to the address, GET and read-only mode lease nothing", async () => {
    const registry = createFakeRegistry();
    const image = await (async () => {
      await using harness = await startHarness(() => registry);
      const manifest = await harness.pushImage("app", "v1", "hello");
      await harness.ask(`/v2/app/blobs/${digest}`);
      await harness.ask(`/v2/app/manifests/${manifest}`);
      expect(registry.leased).toEqual([]);
      await harness.ask(`/v2/app/blobs/${digest}`, { method: "HEAD" });
      await harness.ask(`/v2/app/manifests/${manifest}`, { method: "HEAD" });
      return manifest;
    })();
    const expected = [`127.0.0.1 app ${digest}`, `127.0.0.1 app ${image}`];
    expect(registry.leased).toEqual(expected);
    await using harness = await startHarness(() => registry, { readOnly: true });
    await harness.ask(`/v2/app/blobs/${digest}`, { method: "HEAD" });
    await harness.ask(`/v2/app/manifests/${image}`, { method: "HEAD" });
    expect(registry.leased).toEqual(expected);
  });
});

describe("the log", () => {
  test("has the classic registry's fields, and the access log its line", async () => {
    await using harness = await startHarness(createFakeRegistry);
    await harness.pushImage("team/app", "v1");
    harness.lines.length = 0;
    harness.accesses.length = 0;
    const headers = { "User-Agent": "tester/1", Referer: "http://from/" };
    await harness.ask("/v2/team/app/manifests/v1?x=1", { headers });
    await harness.ask(`/v2/team/app/blobs/${digest}`, { headers });
    const [completed, failed] = harness.lines;
    expect([completed?.level, completed?.message]).toEqual(["info", "response completed"]);
    expect(completed?.fields).toEqual({
      "http.request.host": harness.origin.slice(7),
      "http.request.id": textLike(/^[0-9a-f-]{36}$/),
      "http.request.method": "GET",
      "http.request.referer": "http://from/",
      "http.request.remoteaddr": textLike(/^127\.0\.0\.1:\d+$/),
      "http.request.uri": "/v2/team/app/manifests/v1?x=1",
      "http.request.useragent": "tester/1",
      "http.response.contenttype": "application/vnd.oci.image.manifest.v1+json",
      "http.response.duration": textLike(/^[\d.]+(?:µs|ms|s)$/),
      "http.response.status": 200,
      "http.response.written": anyNumber,
      "vars.name": "team/app",
      "vars.reference": "v1",
    });
    expect([failed?.level, failed?.message]).toEqual(["error", "response completed with error"]);
    expect(failed?.fields).toMatchObject({
      "err.code": "blob unknown",
      "err.detail": JSON.stringify(digest),
      "err.message": anyText,
      "http.response.status": 404,
      "vars.digest": digest,
    });
    expect(harness.accesses[0]).toEqual({
      timeMs: 1_700_000_000_000,
      remoteAddress: "127.0.0.1",
      method: "GET",
      uri: "/v2/team/app/manifests/v1?x=1",
      status: 200,
      writtenBytes: Number(completed?.fields["http.response.written"]),
      referer: "http://from/",
      userAgent: "tester/1",
    });
  });
});
