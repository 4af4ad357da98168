import { describe, expect, test } from "bun:test";
import { FlagError, readGarbageCollectFlags } from "./garbage-collect-options.ts";

describe("the flags of garbage-collect", () => {
  test("without any: collects now, with the configured grace, and names the repositories", () => {
    expect(readGarbageCollectFlags({}, 1000)).toEqual({
      options: {
        dryRun: false,
        untagged: false,
        full: false,
        foreignGraceMs: 1000,
        keepDeletedMs: 0,
        listing: "repositories",
      },
      quiet: false,
      json: false,
    });
  });

  test("each flag", () => {
    const { options } = readGarbageCollectFlags(
      {
        dryRun: true,
        deleteUntagged: true,
        full: true,
        marks: true,
        grace: "0s",
        keepDeleted: "2h",
      },
      1000,
    );
    expect(options).toEqual({
      dryRun: true,
      untagged: true,
      full: true,
      foreignGraceMs: 0,
      keepDeletedMs: 7_200_000,
      listing: "marks",
    });
    expect(readGarbageCollectFlags({ quiet: true }, 0).options.listing).toBe("nothing");
    expect(readGarbageCollectFlags({ json: true }, 0)).toMatchObject({ json: true });
  });

  test("a wrong one is named", () => {
    const read = (grace: string) => () => readGarbageCollectFlags({ grace }, 0);
    expect(read("soon")).toThrow(FlagError);
    expect(read("-1h")).toThrow('--grace: "-1h" is not a duration; expected 0s, 90m or 1h');
    // Ignored, it would collect where somebody wanted to look.
    expect(() => readGarbageCollectFlags({ limit: "3" }, 0)).toThrow("--limit goes with --history");
    const both = { json: true, marks: true };
    expect(() => readGarbageCollectFlags(both, 0)).toThrow("choose one");
  });
});
