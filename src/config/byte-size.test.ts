import { describe, expect, test } from "bun:test";
import { formatByteSize, parseByteRate, parseByteSize } from "./byte-size.ts";

describe("amounts of bytes", () => {
  test.each([
    ["0", 0],
    ["1000", 1_000],
    ["1000B", 1_000],
    ["20MB", 20_000_000],
    ["20 mb", 20_000_000],
    ["512KiB", 524_288],
    ["1.5GB", 1_500_000_000],
    ["2TiB", 2_199_023_255_552],
  ])("%s", (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  test.each(["", "MB", "-1MB", "1e6", "20 megabytes", "20M", "1,5MB", "20MB/s", "99999999TB"])(
    "%s is none",
    (text) => {
      expect(parseByteSize(text)).toBeNull();
    },
  );

  test("rates may say that they are", () => {
    expect(parseByteRate("20MB/s")).toBe(20_000_000);
    expect(parseByteRate("20MB / S")).toBe(20_000_000);
    expect(parseByteRate("20MB")).toBe(20_000_000);
    expect(parseByteRate("20MB/min")).toBeNull();
  });

  test.each(["20MB", "512KiB", "1500", "1500kB", "3GB", "0"])(
    "%s is read back as it is",
    (text) => {
      expect(formatByteSize(parseByteSize(text) ?? -1)).toBe(text);
    },
  );
});
