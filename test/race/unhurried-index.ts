// An index in memory whose condemnations do all of a batch, however busy the machine is: where a test
// counts on what one call has settled, a clock on the wall must not decide it.
import { createMemoryIndex } from "../../src/index/sqlite-index.ts";
import type { Index } from "../../src/registry/ports/index.ts";

export function createUnhurriedIndex(...args: Parameters<typeof createMemoryIndex>): Index {
  const index = createMemoryIndex(...args);
  return new Proxy(index, {
    get: (target, name) => {
      const method: unknown = Reflect.get(target, name);
      if (name !== "condemn" || typeof method !== "function") return method;
      const condemn: Index["condemn"] = (candidates, options) =>
        target.condemn(candidates, { ...options, lockMsMax: Number.POSITIVE_INFINITY });
      return condemn;
    },
  });
}
