import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Limits } from "./limits.ts";
import { noLimits } from "./options.ts";
import { pacedReply } from "./paced-body.ts";

describe("a body that is sent at a pace", () => {
  const address = { ...noLimits.address, sendBytesPerSecond: 1_000_000_000 };
  const visitor = new Limits({ ...noLimits, address }).visitor("10.0.0.1");
  if (visitor === null) throw new Error("something is limited");
  const held = { holds: () => undefined, sends: () => undefined };
  const sizeBytes = 4_000_000;

  async function bytesOf(path: string, whenBegun: () => void): Promise<number> {
    const reply = { status: 200, headers: {}, body: Bun.file(path), sizeBytes };
    const { body } = await pacedReply(reply, visitor as NonNullable<typeof visitor>, held);
    let bytes = 0;
    for await (const chunk of body as ReadableStream<Uint8Array>) {
      if (bytes === 0) whenBegun();
      bytes += chunk.byteLength;
    }
    return bytes;
  }

  test("comes whole, or breaks off: its client has no length to tell it from a short one", async () => {
    const directory = mkdtempSync(join(tmpdir(), "plimsoll-paced-"));
    const path = join(directory, "data");
    await Bun.write(path, new Uint8Array(sizeBytes));
    expect(await bytesOf(path, () => undefined)).toBe(sizeBytes);
    const short = bytesOf(path, () => truncateSync(path, 1_000_000));
    expect(await short.catch(String)).toMatch(/ended after 1000000 of 4000000 bytes/);
    rmSync(directory, { recursive: true });
  });
});
