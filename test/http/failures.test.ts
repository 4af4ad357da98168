// What goes wrong behind the API: each failure with its status and body, and nothing told that is
// not the client's business.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DeniedError,
  ManifestTooLargeError,
  type RegistryError,
  UnavailableError,
  digestOf,
  hexOf,
} from "../../src/oci/index.ts";
import { StorageError } from "../../src/registry/ports/storage.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { createFakeRegistry } from "./fake-registry.ts";
import { errorIn, startHarness } from "./harness.ts";

const digest = digestOf(Buffer.from("hello"));

/** A registry whose look-ups of blobs fail. */
function failingWith(error: unknown): Registry {
  const registry = createFakeRegistry();
  const find = async () => {
    throw error;
  };
  return { ...registry, blobs: { ...registry.blobs, find } };
}

async function answerTo(error: unknown) {
  await using harness = await startHarness(() => failingWith(error));
  const response = await harness.ask(`/v2/app/blobs/${digest}`);
  const text = await response.clone().text();
  return { response, text, error: await errorIn(response), lines: harness.lines };
}

describe("a failure of the domain", () => {
  const statuses: Record<string, [RegistryError, number]> = {
    DeniedError: [new DeniedError("no"), 403],
    ManifestTooLargeError: [new ManifestTooLargeError("too large"), 413],
    UnavailableError: [new UnavailableError("busy"), 503],
  };
  test.each(Object.keys(statuses))("%s has its status", async (name) => {
    const [thrown, status] = statuses[name] ?? [new DeniedError("no such case"), 0];
    const { response, error } = await answerTo(thrown);
    expect(response.status).toBe(status);
    expect([error.code, error.message]).toEqual([thrown.code, thrown.message]);
  });

  test("UNAVAILABLE says when to come back", async () => {
    const busy = new UnavailableError("busy", { retryAfterSeconds: 1.2 });
    expect((await answerTo(busy)).response.headers.get("retry-after")).toBe("2");
  });

  test("the detail is passed on", async () => {
    const denied = new DeniedError("no", { detail: { needed: [digest] } });
    expect((await answerTo(denied)).error.detail).toEqual({ needed: [digest] });
  });
});

describe("a failure of the storage", () => {
  test.each([
    ["full", 507, "UNAVAILABLE"],
    ["denied", 500, "UNKNOWN"],
    ["io", 500, "UNKNOWN"],
  ] as const)("%s has status %p", async (code, status, expected) => {
    const thrown = new StorageError(code, "/srv/registry/secret/path: oops");
    const { response, text, error, lines } = await answerTo(thrown);
    expect(response.status).toBe(status);
    expect(error.code).toBe(expected);
    expect(text).not.toContain("secret");
    expect(JSON.stringify(lines)).toContain("/srv/registry/secret/path");
  });

  test("an unexpected error is 500 UNKNOWN, its stack in the log alone", async () => {
    const { response, text, error, lines } = await answerTo(new TypeError("x is not a function"));
    expect([response.status, error.code]).toEqual([500, "UNKNOWN"]);
    expect(text).not.toContain("function");
    const stack = lines.find(({ message }) => message === "a request failed unexpectedly");
    expect(stack?.level).toBe("error");
    expect(stack?.fields["error"]).toContain("x is not a function");
    expect(stack?.fields["error"]).toContain("failures.test.ts");
  });

  test("a file that vanishes between look-up and sending is 404 BLOB_UNKNOWN (INV-9)", async () => {
    const directory = mkdtempSync(join(tmpdir(), "http-vanish-"));
    await using harness = await startHarness(() => createFakeRegistry({ directory }));
    await harness.pushBlob("app", "hello");
    unlinkSync(join(directory, hexOf(digest), "data"));
    const response = await harness.ask(`/v2/app/blobs/${digest}`);
    expect(response.status).toBe(404);
    expect((await errorIn(response)).code).toBe("BLOB_UNKNOWN");
    expect(response.headers.get("docker-distribution-api-version")).toBe("registry/2.0");
    rmSync(directory, { recursive: true });
  });
});

describe("health", () => {
  test("while a check fails every API request is 503 UNAVAILABLE, / is alive", async () => {
    await using harness = await startHarness(createFakeRegistry);
    harness.failing["storagedriver"] = "the disk is gone";
    for (const path of ["/v2/", "/v2/app/tags/list", `/v2/app/blobs/${digest}`]) {
      const response = await harness.ask(path);
      expect(response.status).toBe(503);
      expect(response.headers.get("retry-after")).toBe("5");
      const error = await errorIn(response);
      expect(error.code).toBe("UNAVAILABLE");
      expect(error.message).not.toContain("disk");
    }
    expect((await harness.ask("/")).status).toBe(200);
    delete harness.failing["storagedriver"];
    expect((await harness.ask("/v2/")).status).toBe(200);
  });
});
