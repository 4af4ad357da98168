import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createAccessLog, formatCombined, silentAccessLog } from "./access-log.ts";
import type { AccessEntry } from "./access-log.ts";

const entry: AccessEntry = {
  timeMs: Date.UTC(2026, 10, 23, 22, 37, 44, 999),
  remoteAddress: "127.0.0.1",
  method: "GET",
  uri: "/v2/",
  status: 200,
  writtenBytes: 2,
  referer: "",
  userAgent: "curl/7.88.1",
};

describe("formatCombined", () => {
  test("is the classic's line", () => {
    expect(formatCombined(entry)).toBe(
      '127.0.0.1 - - [23/Nov/2026:22:37:44 +0000] "GET /v2/ HTTP/1.1" 200 2 "" "curl/7.88.1"\n',
    );
  });

  test("escapes what a client sends, as the classic does", () => {
    const uri = '/v2/x/manifests/1?a="b%0A';
    expect(
      formatCombined({ ...entry, uri, status: 404, referer: 'x"y', userAgent: "ü\x1b\n" }),
    ).toBe(
      '127.0.0.1 - - [23/Nov/2026:22:37:44 +0000] "GET /v2/x/manifests/1?a=\\"b%0A HTTP/1.1" ' +
        '404 2 "x\\"y" "ü\\x1b\\n"\n',
    );
  });

  test("a user name cannot add a column", () => {
    expect(formatCombined({ ...entry, user: 'al "ice"\n' })).toStartWith(
      '127.0.0.1 - al\\x20\\"ice\\"\\n [23/',
    );
  });

  test("IPv6 addresses and none", () => {
    expect(formatCombined({ ...entry, remoteAddress: "::1" })).toStartWith("::1 - - [");
    expect(formatCombined({ ...entry, remoteAddress: "" })).toStartWith("- - - [");
  });

  test("secrets in a query are masked, the rest stays", () => {
    const uri = "/v2/?n=5&access_token=hunter2&x=1&X-Amz-Signature=hunter2";
    expect(formatCombined({ ...entry, uri })).toContain(
      "/v2/?n=5&access_token=********&x=1&X-Amz-Signature=******** ",
    );
  });

  test("nor in the address of the page that the request came from", () => {
    const referer = "https://a/?token=hunter2";
    expect(formatCombined({ ...entry, referer })).toContain('"https://a/?token=********"');
  });

  test.each(["?token", "?", "&secret", "token", "&", "=token"])(
    "a long query of %p takes no time: everybody waits for it",
    (part) => {
      const uri = `/v2/?${part.repeat(16_384 / part.length)}`;
      const begunMs = performance.now();
      formatCombined({ ...entry, uri });
      expect(performance.now() - begunMs).toBeLessThan(250);
    },
  );

  test("the time follows the entry, also backwards", () => {
    const timeOf = (timeMs: number): string =>
      /\[(.*)\]/.exec(formatCombined({ ...entry, timeMs }))?.[1] ?? "";
    expect(timeOf(0)).toBe("01/Jan/1970:00:00:00 +0000");
    expect(timeOf(Date.UTC(2024, 1, 29, 23, 59, 59))).toBe("29/Feb/2024:23:59:59 +0000");
    expect(timeOf(999)).toBe("01/Jan/1970:00:00:00 +0000");
  });

  test("whatever a client sends, it is one line of bounded length with six quotes", () => {
    const text = fc.string({ unit: "binary", maxLength: 40 });
    const hostile = fc.record({
      method: text,
      uri: text,
      referer: text,
      userAgent: text,
      user: text,
    });
    fc.assert(
      fc.property(hostile, fc.constantFrom(1, 1_000), (fields, repeat) => {
        const uri = fields.uri.repeat(repeat);
        const line = formatCombined({ ...entry, ...fields, uri });
        expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        expect(line.length).toBeLessThan(40_000);
        const quoted = line.slice(line.indexOf("] ")).replace(/\\./gsu, "");
        expect(quoted.match(/"/g)).toHaveLength(6);
      }),
    );
  });
});

test("createAccessLog writes a line an entry, the silent one none", () => {
  const lines: string[] = [];
  createAccessLog({ write: (line) => lines.push(line) }).write(entry);
  silentAccessLog.write(entry);
  expect(lines).toEqual([formatCombined(entry)]);
});
