import { describe, expect, test } from "bun:test";
import { LineWriter } from "./line-writer.ts";
import type { LineTarget } from "./line-writer.ts";

/** Takes writes only when told to, as many bytes as told, or fails as told. */
class FakeTarget implements LineTarget {
  written = "";
  calls = 0;
  readonly waiting: (() => void)[] = [];
  automatic = true;
  bytesMax = Number.POSITIVE_INFINITY;
  readonly errors: string[] = [];

  write(bytes: Uint8Array, done: (error: Error | null, written: number) => void): void {
    this.calls += 1;
    const finish = (): void => {
      const code = this.errors.shift();
      if (code !== undefined) done(Object.assign(new Error(code), { code }), 0);
      else done(null, this.writeSync(bytes));
    };
    if (this.automatic) queueMicrotask(finish);
    else this.waiting.push(finish);
  }

  writeSync(bytes: Uint8Array): number {
    const code = this.errors.shift();
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    const part = bytes.subarray(0, this.bytesMax);
    this.written += new TextDecoder().decode(part);
    return part.length;
  }
}

function setUp(delayMs = 0): { readonly target: FakeTarget; readonly writer: LineWriter } {
  const target = new FakeTarget();
  const describeDropped = (count: number): string => `${count} dropped\n`;
  return { target, writer: new LineWriter(target, { delayMs, describeDropped }) };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe("LineWriter", () => {
  test("lines of one turn are one write", async () => {
    const { target, writer } = setUp();
    writer.write("a\n");
    writer.write("b\n");
    expect(target.calls).toBe(0);
    await turn();
    await turn();
    expect(target).toMatchObject({ written: "a\nb\n", calls: 1 });
  });

  test("a full batch does not wait", () => {
    const { target, writer } = setUp(60_000);
    writer.write(`${"x".repeat(200_000)}\n`);
    expect(target.calls).toBe(1);
  });

  test("what comes during a write is written after it, in order", async () => {
    const { target, writer } = setUp();
    target.automatic = false;
    writer.write("a\n");
    const flushed = writer.flush();
    writer.write("b\n");
    writer.write("c\n");
    expect(target.calls).toBe(1);
    target.automatic = true;
    target.waiting.shift()?.();
    await flushed;
    expect(target).toMatchObject({ written: "a\nb\nc\n", calls: 2 });
  });

  test("a line written the moment a flush ends is not forgotten", async () => {
    const { target, writer } = setUp();
    writer.write("a\n");
    await writer.flush();
    writer.write("b\n");
    await turn();
    await turn();
    expect(target.written).toBe("a\nb\n");
  });

  test("a write in parts is continued, at the byte", async () => {
    const { target, writer } = setUp();
    target.bytesMax = 3;
    writer.write("0123456789\n");
    await writer.flush();
    expect(target).toMatchObject({ written: "0123456789\n", calls: 4 });
  });

  test("EAGAIN is tried again", async () => {
    const { target, writer } = setUp();
    target.errors.push("EAGAIN", "EAGAIN");
    writer.write("a\n");
    await writer.flush();
    expect(target.written).toBe("a\n");
  });

  test("after a full disk it goes on, and says how many lines are missing", async () => {
    const { target, writer } = setUp();
    target.errors.push("ENOSPC");
    writer.write("a\n");
    writer.write("b\n");
    await writer.flush();
    writer.write("c\n");
    await writer.flush();
    expect(target.written).toBe("c\n2 dropped\n");
  });

  test("without a reader it goes silent and keeps nothing", async () => {
    const { target, writer } = setUp();
    target.errors.push("EPIPE");
    writer.write("a\n");
    await writer.flush();
    writer.write("b\n");
    await writer.flush();
    writer.flushSync();
    expect(target).toMatchObject({ written: "", calls: 1 });
  });

  test("a reader that does not read costs 4 MiB, not the memory", async () => {
    const { target, writer } = setUp();
    target.automatic = false;
    const line = `${"x".repeat(1_023)}\n`;
    for (let count = 0; count < 20_000; count++) writer.write(line);
    target.automatic = true;
    target.waiting.shift()?.();
    await writer.flush();
    expect(target.written.length).toBeLessThan(5 * 1024 * 1024);
    expect(target.written).toMatch(/x\n\d+ dropped\n$/);
  });

  test("flushSync writes what waits, and never throws", () => {
    const { target, writer } = setUp(60_000);
    target.bytesMax = 1;
    writer.write("ab\n");
    writer.flushSync();
    expect(target.written).toBe("ab\n");
    target.errors.push("EAGAIN");
    writer.write("c\n");
    writer.flushSync();
    target.errors.push("EPIPE");
    writer.write("d\n");
    writer.flushSync();
    expect(target.written).toBe("ab\nc\n");
  });
});
