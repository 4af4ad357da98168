// The door to the owner: what a command tells arrives in order, silence does not close it, failures and
// exit codes come through.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askOwner, type ControlServer, OwnerSilentError, serveControl } from "./control-socket.ts";
import { ownDirectory } from "./owner-lock.ts";

let root = "";
let server: ControlServer | null = null;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "plimsoll-control-"));
  mkdirSync(join(root, ownDirectory));
});

afterEach(async () => {
  await server?.stop();
  server = null;
  rmSync(root, { recursive: true, force: true });
});

const never = new AbortController().signal;
const request = { command: "count", options: { to: 3 } };

async function ask(): Promise<{ readonly code: number; readonly told: readonly unknown[] }> {
  const told: unknown[] = [];
  const tell = (event: unknown): Promise<void> => {
    told.push(event);
    return Promise.resolve();
  };
  return { code: await askOwner(root, request, { tell, signal: never }), told };
}

test("what the command tells arrives in order, and then its exit code", async () => {
  server = serveControl(root, async (asked, asker) => {
    expect(asked).toEqual(request);
    for (const n of [1, 2, 3]) await asker.tell({ n });
    return 7;
  });
  expect(await ask()).toEqual({ code: 7, told: [{ n: 1 }, { n: 2 }, { n: 3 }] });
});

test("a command that fails says why to whoever asked", async () => {
  server = serveControl(root, () => Promise.reject(new Error("the disk is full")));
  expect(ask()).rejects.toThrow("the disk is full");
  await ask().catch(() => undefined);
});

test("an owner that stops in the middle is told of, in words", async () => {
  const begun = Promise.withResolvers<void>();
  server = serveControl(root, async (_asked, asker) => {
    await asker.tell("begun");
    begun.resolve();
    await new Promise((resolve) => asker.signal.addEventListener("abort", resolve));
    return 0;
  });
  const asked = ask().then(
    () => "it came to its end",
    (error: unknown) => String(error),
  );
  await begun.promise;
  await Bun.sleep(50);
  await server.stop();
  expect(await asked).toContain("has stopped before this was over");
});

test("silence for longer than the runtime's default timeout does not close the door", async () => {
  server = serveControl(root, async (_asked, asker) => {
    await asker.tell("begun");
    await Bun.sleep(14_000);
    await asker.tell("done");
    return 0;
  });
  expect(await ask()).toEqual({ code: 0, told: ["begun", "done"] });
}, 60_000);

test("nobody behind the door: OwnerSilentError", async () => {
  const error = await ask().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OwnerSilentError);
});

test("a root so deep that its socket's path is too long for an address", async () => {
  const outer = root;
  root = join(root, "d".repeat(120));
  mkdirSync(join(root, ownDirectory), { recursive: true });
  server = serveControl(root, () => Promise.resolve(0));
  expect((await ask()).code).toBe(0);
  await server.stop();
  server = null;
  root = outer;
});

test("what is no request of ours is 400, and the next one is heard", async () => {
  server = serveControl(root, () => Promise.resolve(0));
  const unix = join(root, ownDirectory, "control.sock");
  for (const body of ["garbage", "", "[]", "{}", '{"command": 1, "options": {}}']) {
    const { status } = await fetch("http://owner/", { method: "POST", body, unix });
    expect([body, status]).toEqual([body, 400]);
  }
  expect((await ask()).code).toBe(0);
});
