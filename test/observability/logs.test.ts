// What the logs say of requests, by the classic registry's names, and what they never say.
import { describe, expect, test } from "bun:test";
import { createAccessLog } from "../../src/observability/access-log.ts";
import type { Logs } from "../../src/observability/index.ts";
import { createLineFormat } from "../../src/observability/log-format.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { pushImage, startServed } from "./served.ts";

interface Captured {
  readonly logs: Logs;
  readonly lines: string[];
  readonly accesses: string[];
}

function capture(format: "text" | "json"): Captured {
  const lines: string[] = [];
  const accesses: string[] = [];
  const to = (list: string[]) => ({
    write: (line: string) => void list.push(line),
    flush: () => Promise.resolve(),
  });
  const logger = createLogger({
    level: "debug",
    format: createLineFormat(format),
    fields: { service: "registry" },
    writer: to(lines),
  });
  const logs = { logger, accessLog: createAccessLog(to(accesses)), flush: () => Promise.resolve() };
  return { logs, lines, accesses };
}

/** The names in a line of the text format, in its order. */
function namesIn(line: string): string[] {
  return [...line.matchAll(/(?:^| )([\w.]+)=(?:"(?:[^"\\]|\\.)*"|\S*)/g)].map(
    ([, name = ""]) => name,
  );
}

const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

describe("a request in the log", () => {
  test("has the classic's fields, sorted, and its line in the access log", async () => {
    const { logs, lines, accesses } = capture("text");
    await using served = await startServed("", { logs });
    const digest = await pushImage(served.origin, "team/app", "x");
    const headers = { Referer: "https://example.com/page", "X-Request-Id": "abc-1/2+3=" };
    await fetch(`${served.origin}/v2/team/app/manifests/latest?a=b`, { headers });
    const line = lines.findLast((one) => one.includes("response completed")) ?? "";
    const names = namesIn(line);
    expect(names.slice(0, 3)).toEqual(["time", "level", "msg"]);
    const fields = names.slice(3);
    expect(fields).toEqual([...fields].sort());
    expect(fields).toEqual([
      "http.request.host",
      "http.request.id",
      "http.request.method",
      "http.request.referer",
      "http.request.remoteaddr",
      "http.request.uri",
      "http.request.useragent",
      "http.response.contenttype",
      "http.response.duration",
      "http.response.status",
      "http.response.written",
      "service",
      "vars.name",
      "vars.reference",
    ]);
    expect(line).toContain('http.request.id="abc-1/2+3="');
    expect(line).toContain('http.request.uri="/v2/team/app/manifests/latest?a=b"');
    expect(line).toContain("vars.name=team/app vars.reference=latest");
    expect(accesses.at(-1)).toMatch(
      /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:[\d:]{8} \+0000\] "GET \/v2\/team\/app\/manifests\/latest\?a=b HTTP\/1\.1" 200 \d+ "https:\/\/example\.com\/page" "[^"]*"\n$/,
    );
    const { status } = await fetch(`${served.origin}/v2/team/app/blobs/${digest.slice(0, -1)}0`);
    expect(status).toBe(404);
    const failed = lines.findLast((one) => one.includes("completed with error")) ?? "";
    for (const name of ["err.code", "err.message", "vars.digest"]) {
      expect(namesIn(failed)).toContain(name);
    }
  });

  test("the id is the client's where it is a sound one, else a new one; whoever sent one gets it back", async () => {
    const { logs, lines } = capture("json");
    await using served = await startServed("", { logs });
    const ask = async (id: string | null, path = "/v2/"): Promise<[string | null, unknown]> => {
      const headers: Record<string, string> = id === null ? {} : { "X-Request-Id": id };
      const response = await fetch(served.origin + path, { headers });
      const last = lines.findLast((one) => one.includes("response completed")) ?? "{}";
      const line = JSON.parse(last) as Record<string, unknown>;
      return [response.headers.get("x-request-id"), line["http.request.id"]];
    };
    expect(await ask("0af7651916cd43dd")).toEqual(["0af7651916cd43dd", "0af7651916cd43dd"]);
    expect(await ask("x", "/v2/none/tags/list")).toEqual(["x", "x"]);
    for (const unsound of ["", "a b", 'a"b', "a\tb", "é", "x".repeat(129)]) {
      const [sent, logged] = await ask(unsound);
      expect(sent).toMatch(uuid);
      expect(logged).toBe(sent);
    }
    const [sent, one] = await ask(null);
    const [, other] = await ask(null);
    expect(sent).toBeNull();
    expect(one).toMatch(uuid);
    expect(one).not.toBe(other);
  });
});

describe("secrets", () => {
  test.each(["text", "json"] as const)("are in no line (%s)", async (format) => {
    const { logs, lines, accesses } = capture(format);
    await using served = await startServed(
      `health: {http: [{uri: "http://me:urlpassw0rd@127.0.0.1:1/x", interval: 20ms, headers: {Authorization: Bearer health-t0ken}}]}`,
      { logs },
    );
    await Bun.sleep(100);
    const { origin } = served;
    const basic = Buffer.from("alice:passw0rd-of-alice").toString("base64");
    const headers = {
      Authorization: `Basic ${basic}`,
      Cookie: "session=cookie-s3cret",
      "Proxy-Authorization": "Basic proxy-s3cret",
      Referer: "https://bob:refpassw0rd@example.com/?access_token=ref-t0ken",
    };
    const paths = [
      "/v2/",
      "/v2/a/manifests/x?password=query-passw0rd&a=b",
      "/v2/a/blobs/uploads/?token=query-t0ken",
      "/v2/%zz?client_secret=query-s3cret",
      "/v2/a/tags/list?X-Amz-Signature=query-signature",
      "/nothing?secret=query-s3cret",
    ];
    for (const path of paths) {
      for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]) {
        await (await fetch(origin + path, { method, headers })).text();
      }
    }
    await fetch(`${origin}/v2/a/manifests/x`, {
      headers: { Authorization: "Bearer bearer-t0ken", "X-Request-Id": "secret id" },
    });
    const told = `${lines.join("")}${accesses.join("")}${await served.debug("/metrics")}`;
    const health = await (await fetch(`${served.debugOrigin}/debug/health`)).text();
    expect(lines.length).toBeGreaterThan(30);
    for (const secret of [
      "passw0rd",
      "t0ken",
      "s3cret",
      "query-signature",
      basic,
      "very-s3cret-indeed",
      "Basic ",
      "Bearer ",
    ]) {
      expect([secret, told.includes(secret), health.includes(secret)]).toEqual([
        secret,
        false,
        false,
      ]);
    }
    expect(told).toContain("********");
  });
});

describe("lines", () => {
  test("are bounded, and one each, whatever is asked for", async () => {
    const { logs, lines, accesses } = capture("text");
    await using served = await startServed("", { logs });
    const long = "x".repeat(10_000);
    const headers = { "User-Agent": `${long}\u00ff`, Referer: `https://x/${long.slice(0, 3_000)}` };
    await fetch(`${served.origin}/v2/${long.slice(0, 2_000)}/manifests/y?z=%0a%0d`, { headers });
    for (const line of [...lines, ...accesses]) {
      expect(line.length).toBeLessThanOrEqual(16 * 1024);
      expect(line.indexOf("\n")).toBe(line.length - 1);
    }
    expect(accesses.at(-1)).toContain("more characters");
  });
});
