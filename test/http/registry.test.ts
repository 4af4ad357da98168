// The HTTP suite over the real domain, with the index and the bytes in memory.
import { describe } from "bun:test";
import { createRealRegistry } from "./real-registry.ts";
import { httpSuite } from "./suite/index.ts";

describe("HTTP, the real registry in memory", () => {
  httpSuite(() => createRealRegistry());
});
