// What goes wrong behind the API: an index that is not ready, failures that nobody expected. Over parts that
// fail as they are told to.
import { describe, expect, test } from "bun:test";
import type { ApiParts, LogFields } from "../../../src/http/index.ts";
import { startServer } from "../../../src/http/index.ts";
import { UnavailableError } from "../../../src/oci/index.ts";
import { createFakeRegistry } from "../fake-registry.ts";
import { defaultOptions } from "../harness.ts";

interface Failing extends AsyncDisposable {
  readonly lines: { readonly message: string; readonly fields: LogFields }[];
  ask(path: string, method?: string): Promise<Response>;
}

/** A server over no more than these parts. */
async function startFailing(parts: object): Promise<Failing> {
  const lines: Failing["lines"] = [];
  const log = (message: string, fields: LogFields = {}) => {
    lines.push({ message, fields });
  };
  const collection = { current: () => null, last: () => null, changes: () => 0 };
  const server = await startServer({
    access: null,
    registry: createFakeRegistry(),
    options: defaultOptions,
    health: { failing: () => ({ storagedriver_filesystem: "the disk is away" }) },
    logger: { info: log, warn: log, error: log, enabled: () => true },
    accessLog: { write: () => undefined },
    clock: { now: () => 0 },
    api: { version: "1.2.3", collection, ...parts } as unknown as ApiParts,
  });
  return {
    lines,
    ask: (path, method = "GET") =>
      fetch(`http://127.0.0.1:${server.port}/api/v1${path}`, {
        method,
        headers: { "X-Plimsoll": "1" },
      }),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

const digest = `sha256:${"0".repeat(64)}`;

describe("while index and tree are being compared", () => {
  test.each([
    ["DELETE", "/repositories/a"],
    ["DELETE", "/repositories/a/-/tags/x"],
    ["DELETE", `/repositories/a/-/images/${digest}`],
    ["POST", "/repositories/a/-/restore"],
  ])("%s %s is told to come again", async (method, path) => {
    await using failing = await startFailing({ isAgreed: () => false });
    const response = await failing.ask(path, method);
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
    expect(await response.text()).toContain('"UNAVAILABLE"');
  });
});

describe("failures", () => {
  test("of which nobody knows are 500, tell nothing, and are in the log", async () => {
    const secret = new Error("secret at /var/lib/registry");
    await using failing = await startFailing({ totals: () => Promise.reject(secret) });
    const response = await failing.ask("/");
    expect(response.status).toBe(500);
    const body = { error: { code: "UNKNOWN", message: "an unexpected error" } };
    expect(await response.json()).toEqual(body as object);
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(failing.lines.map(({ message }) => message)).toEqual([
      "a request failed unexpectedly",
      "response completed with error",
    ]);
    expect(String(failing.lines[0]?.fields["error"])).toContain("secret at /var/lib/registry");
  });

  test("of an index that is being built again say when to come again", async () => {
    const lost = new UnavailableError("being built", { retryAfterSeconds: 7 });
    await using failing = await startFailing({ listRuns: () => Promise.reject(lost) });
    const response = await failing.ask("/collection/runs");
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "7"]);
    expect(await response.json()).toEqual({
      error: { code: "UNAVAILABLE", message: "being built" },
    } as object);
  });

  test("of health checks do not close the API, and are told there", async () => {
    const totals = { repositories: 0, manifests: 0, blobs: 0, blobBytes: 0 };
    await using failing = await startFailing({
      totals: () => Promise.resolve(totals),
      listRuns: () => Promise.resolve([]),
      isAgreed: () => true,
    });
    expect(await (await failing.ask("/")).json()).toMatchObject({
      failing: { storagedriver_filesystem: "the disk is away" },
    });
  });
});
