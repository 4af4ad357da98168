import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createLineFormat, lineCharactersMax } from "./log-format.ts";
import type { LogEvent } from "./log-format.ts";

const timeMs = Date.UTC(2022, 8, 27, 14, 43, 7, 415);
const shared = { "instance.id": "9244b412", service: "registry", version: "0.1.0" };

function line(
  formatter: "text" | "json" | "logstash",
  event: Partial<LogEvent>,
  fields: Record<string, unknown> = shared,
): string {
  const format = createLineFormat(formatter);
  const whole = { timeMs, level: "info", message: "", fields: {}, ...event } as const;
  return format.line(whole, format.prepare(fields));
}

describe("text, as the classic writes it", () => {
  test("time, level and message first, then the fields in order of their keys", () => {
    const fields = {
      "http.request.host": "127.0.0.1:5000",
      "vars.name": "x",
      "err.code": "manifest unknown",
      "http.response.status": 404,
      "http.response.duration": "713.662µs",
      "http.request.useragent": "",
    };
    expect(line("text", { level: "error", message: "response completed with error", fields })).toBe(
      'time="2022-09-27T14:43:07.415Z" level=error msg="response completed with error" ' +
        'err.code="manifest unknown" http.request.host="127.0.0.1:5000" http.request.useragent= ' +
        'http.response.duration="713.662µs" http.response.status=404 instance.id=9244b412 ' +
        "service=registry vars.name=x version=0.1.0\n",
    );
  });

  test("quotes only what needs them", () => {
    const fields = { a: "azAZ09-._/@^+", b: "a b", c: 'q"', d: true, e: null, f: "x:y", g: "ü" };
    expect(line("text", { message: "one", fields }, {})).toEndWith(
      'msg=one a=azAZ09-._/@^+ b="a b" c="q\\"" d=true e="<nil>" f="x:y" g="ü"\n',
    );
  });

  test("a field of the line wins over a shared one, undefined is left out", () => {
    expect(line("text", { fields: { service: "gc", x: undefined } })).toEndWith(
      "level=info instance.id=9244b412 service=gc version=0.1.0\n",
    );
  });

  test("fields cannot pass for time, level or message, nor keys for two", () => {
    const fields = { level: "x", msg: "y", time: "z", "a b": "1", "c=d\n": "2" };
    expect(line("text", { message: "m", fields }, {})).toEndWith(
      "level=info msg=m a_b=1 c_d_=2 fields.level=x fields.msg=y fields.time=z\n",
    );
  });
});

describe("json and logstash", () => {
  test("json has the keys in order and keeps numbers", () => {
    const fields = { status: 200, ok: true, level: "x" };
    expect(line("json", { message: 'said "hi"', fields })).toBe(
      '{"fields.level":"x","instance.id":"9244b412","level":"info","msg":"said \\"hi\\"","ok":true,' +
        '"service":"registry","status":200,"time":"2022-09-27T14:43:07.415Z","version":"0.1.0"}\n',
    );
  });

  test("logstash has its own names for time and message", () => {
    expect(line("logstash", { message: "m" }, {})).toBe(
      '{"@timestamp":"2022-09-27T14:43:07.415Z","@version":"1","level":"info","message":"m"}\n',
    );
  });
});

describe("values", () => {
  test("an error is its message and its causes", () => {
    const error = new Error("push failed", { cause: new TypeError("disk full") });
    expect(line("text", { fields: { error } }, {})).toContain('error="push failed: disk full"');
  });

  test("objects are JSON, and what cannot be shown is said to be so", () => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    const fields = { a: { b: 1 }, c: cycle, d: 5n, e: () => 1 };
    expect(line("text", { fields }, {})).toEndWith(
      'a="{\\"b\\":1}" c="(cannot be shown)" d=5 e=function\n',
    );
  });

  test.each(["http.secret", "password", "authorization", "access_token", "Set-Cookie"])(
    "the value of %s is masked",
    (name) => {
      expect(line("text", { fields: { [name]: "hunter2" } }, {})).not.toContain("hunter2");
      expect(line("json", {}, { [name]: "hunter2" })).not.toContain("hunter2");
    },
  );
});

test("secrets in the query of an address are masked", () => {
  const fields = { "http.request.uri": "/auth/token?username=a&password=hunter2" };
  expect(line("text", { fields }, {})).toContain('"/auth/token?username=a&password=********"');
  expect(line("json", { fields }, {})).not.toContain("hunter2");
});

const anyFields = fc.dictionary(
  fc.string({ unit: "binary" }),
  fc.oneof(fc.string({ unit: "binary" }), fc.integer(), fc.boolean(), fc.object()),
);
const anyEvent = fc.record({ message: fc.string({ unit: "binary" }), fields: anyFields });

test("whatever is logged, it is one line", () => {
  fc.assert(
    fc.property(anyEvent, fc.constantFrom("text", "json", "logstash"), (event, formatter) => {
      const text = line(formatter, event);
      expect(text).toEndWith("\n");
      expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
      if (formatter !== "text") expect(JSON.parse(text)).toHaveProperty("level", "info");
    }),
  );
});

test.each(["text", "json", "logstash"] as const)(
  "%s lines are bounded, with a mark",
  (formatter) => {
    const huge = "\u0001".repeat(1_000_000);
    const fields = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`f${at}`, huge]));
    for (const event of [
      { message: huge, fields },
      { message: "x", fields: { huge } },
    ]) {
      const text = line(formatter, event);
      expect(text.length).toBeLessThanOrEqual(lineCharactersMax);
      expect(text).toMatch(/truncated|line too long|more characters/);
      if (formatter !== "text") JSON.parse(text);
    }
  },
);
