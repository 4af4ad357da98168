import { describe, expect, test } from "bun:test";
import type { RunEntry, RunRecord } from "../registry/ports/index.ts";
import { logRun, RunHistory, runLines, tellHistory } from "./run-history.ts";

const record: RunRecord = {
  askedBy: "command",
  user: "root",
  trigger: "request",
  startedAtMs: Date.parse("2026-11-25T01:00:00Z"),
  durationMs: 1_234.5,
  untagged: false,
  full: false,
  candidates: 9,
  manifests: 1,
  blobs: 4,
  bytes: 62_929_510,
  links: 3,
  uploads: 0,
  repositories: 0,
  steppedOver: { count: 0, atLeast: false },
  errors: [],
  stopped: null,
};
const entry = (more: Partial<RunRecord> = {}, isOver = true): RunEntry => {
  return { id: 7, isOver, record: { ...record, ...more } };
};

describe("the history of runs", () => {
  test("one line a run", () => {
    expect(runLines(entry())).toEqual([
      "#7 2026-11-25T01:00:00.000Z command (root), request: done in 1.23 s; 62929510 bytes (62.9 MB), 4 blobs, 1 manifests, 3 links of 9 candidates",
    ]);
    expect(runLines(entry({ durationMs: null }, false))[0]).toContain("request: under way; ");
    expect(runLines(entry({ durationMs: null, stopped: "interrupted" }))[0]).toContain(
      "request: interrupted; ",
    );
  });

  test("what else there was, below it", () => {
    const more = {
      askedBy: "background",
      user: null,
      trigger: "due",
      uploads: 2,
      repositories: 1,
      steppedOver: { count: 5, atLeast: false },
      errors: ["failed to delete blob"],
      stopped: "window",
    } as const;
    const [line = "", ...below] = runLines(entry(more));
    expect(line).toContain("background, due: window in 1.23 s");
    expect(line).toContain("2 uploads, 1 repositories of 9");
    expect(below).toEqual(["  5 oddities stepped over", "  failed to delete blob"]);
  });

  test("as one document", () => {
    const history = new RunHistory();
    history.hear(entry());
    expect(JSON.parse(history.toJson())).toMatchObject({
      runs: [{ id: 7, startedAt: "2026-11-25T01:00:00.000Z", bytesReclaimed: 62_929_510 }],
    });
  });

  test("told page by page, as many as asked", async () => {
    const all = Array.from({ length: 250 }, (_, n) => ({ ...entry(), id: 250 - n }));
    const asked: number[] = [];
    const index = {
      listRuns: ({ before, limit }: { before: number | null; limit: number }) => {
        asked.push(limit);
        const from = before === null ? 0 : all.findIndex(({ id }) => id < before);
        return Promise.resolve(from < 0 ? [] : all.slice(from, from + limit));
      },
    };
    const told: number[] = [];
    const tell = (event: unknown): Promise<void> => {
      told.push((event as RunEntry).id);
      return Promise.resolve();
    };
    expect(await tellHistory(index, { limit: 120 }, { tell })).toBe(0);
    expect(told).toEqual(all.slice(0, 120).map(({ id }) => id));
    expect(asked).toEqual([100, 20]);
    told.length = 0;
    await tellHistory(index, { limit: 1_000 }, { tell });
    expect(told).toHaveLength(250);
  });
});

describe("the log line of a run", () => {
  const logged = (more: Partial<RunRecord>) => {
    const lines: { level: string; fields: Readonly<Record<string, unknown>> }[] = [];
    logRun(
      { ...record, ...more },
      {
        info: (_, fields) => lines.push({ level: "info", fields }),
        error: (_, fields) => lines.push({ level: "error", fields }),
      },
    );
    return lines;
  };

  test("has the numbers as fields", () => {
    const [line] = logged({});
    expect(line).toMatchObject({
      level: "info",
      fields: { askedBy: "command", user: "root", blobs: 4, bytes: 62_929_510, durationMs: 1_235 },
    });
    expect(Object.keys(line?.fields ?? {})).not.toContain("stopped");
  });

  test("is an error when something failed, and not when it was stopped", () => {
    const errors = ["failed to delete blob"];
    expect(logged({ errors })).toMatchObject([
      { level: "error", fields: { errors: 1, error: "failed to delete blob" } },
    ]);
    expect(logged({ errors, stopped: "window" })).toMatchObject([
      { level: "info", fields: { stopped: "window" } },
    ]);
  });
});
