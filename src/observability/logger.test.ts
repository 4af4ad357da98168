import { describe, expect, test } from "bun:test";
import { createLineFormat } from "./log-format.ts";
import { createLogger, silentLogger } from "./logger.ts";
import type { Logger, LoggerOptions } from "./logger.ts";

function setUp(level: LoggerOptions["level"]): {
  readonly logger: Logger;
  readonly lines: string[];
} {
  const lines: string[] = [];
  const writer = { write: (line: string) => void lines.push(line), flush: () => Promise.resolve() };
  const format = createLineFormat("text");
  const logger = createLogger({ level, format, fields: { a: 1 }, writer, now: () => 0 });
  return { logger, lines };
}

describe("createLogger", () => {
  test.each([
    ["trace", 4],
    ["debug", 4],
    ["info", 3],
    ["warn", 2],
    ["error", 1],
    ["fatal", 0],
    ["panic", 0],
  ] as const)("at level %s writes %d of error, warn, info and debug", (level, count) => {
    const { logger, lines } = setUp(level);
    logger.error("e");
    logger.warn("w");
    logger.info("i");
    logger.debug("d");
    expect(lines.map((line) => /level=(\w+)/.exec(line)?.[1] ?? "")).toEqual(
      ["error", "warning", "info", "debug"].slice(0, count),
    );
    expect(logger.enabled("info")).toBe(count >= 3);
  });

  test("a child adds its fields, at every depth, and not to its parent", () => {
    const { logger, lines } = setUp("info");
    logger.child({ b: 2 }).child({ a: 3 }).info("x", { c: 4 });
    logger.info("y");
    expect(lines).toEqual([
      'time="1970-01-01T00:00:00.000Z" level=info msg=x a=3 b=2 c=4\n',
      'time="1970-01-01T00:00:00.000Z" level=info msg=y a=1\n',
    ]);
  });

  test("the silent logger has the same face", async () => {
    silentLogger.child({ a: 1 }).error("nothing");
    await silentLogger.flush();
    expect(silentLogger.enabled("error")).toBe(false);
  });
});
