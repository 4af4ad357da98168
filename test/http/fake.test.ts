// The HTTP suite over the registry in memory, with blobs as bytes and as files.
import { describe } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "bun:test";
import { createFakeRegistry } from "./fake-registry.ts";
import { httpSuite } from "./suite/index.ts";

const directory = mkdtempSync(join(tmpdir(), "http-fake-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe("HTTP, blobs in memory", () => {
  httpSuite(() => createFakeRegistry());
});

describe("HTTP, blobs as files", () => {
  httpSuite(() => createFakeRegistry({ directory: mkdtempSync(join(directory, "root-")) }));
});
