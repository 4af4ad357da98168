// Robot tokens, and who holds a blob.
import { describe, expect, test } from "bun:test";
import type { RobotToken } from "../../../src/registry/ports/index.ts";
import type { IndexDriver } from "./fixture.ts";
import { worldOf } from "./harness.ts";
import { blobNo, repo } from "./world.ts";

const token = (id: string, more: Partial<RobotToken> = {}): RobotToken => ({
  id,
  user: "ci",
  secretHash: "00ff",
  repositories: ["ci/**", "!ci/x"],
  actions: ["pull", "push"],
  createdAtMs: 1,
  expiresAtMs: null,
  ...more,
});

export function tokensContract(driver: IndexDriver): void {
  describe("robot tokens", () => {
    const world = worldOf(driver);

    test("are found as they were made, listed page by page, noted, revoked", async () => {
      const { index } = world();
      const ending = token("b", { expiresAtMs: 9, repositories: [] });
      expect(await index.createToken(ending)).toBe(true);
      expect(await index.createToken(token("a"))).toBe(true);
      expect(await index.findToken("b")).toEqual({ ...ending, lastUsedAtMs: null });
      expect(await index.findToken("c")).toBeNull();
      const page = await index.listTokens({ after: null, limit: 1 });
      expect(page.map(({ id }) => id)).toEqual(["a"]);
      const next = await index.listTokens({ after: "a", limit: 9 });
      expect(next.map(({ id }) => id)).toEqual(["b"]);
      await index.noteTokenUse("a", 77);
      expect(await index.findToken("a")).toEqual({ ...token("a"), lastUsedAtMs: 77 });
      expect(await index.revokeToken("a")).toBe(true);
      expect(await index.revokeToken("a")).toBe(false);
      // A use that is noted late brings nothing back.
      await index.noteTokenUse("a", 78);
      expect(await index.findToken("a")).toBeNull();
    });

    test("outlive a rebuild of the facts", async () => {
      const { index } = world();
      await index.createToken(token("a"));
      await index.startRebuild();
      expect(await index.findToken("a")).toEqual({ ...token("a"), lastUsedAtMs: null });
    });

    test("the same id twice is an error, and changes nothing", async () => {
      const { index } = world();
      await index.createToken(token("a"));
      expect(index.createToken(token("a", { user: "mallory" }))).rejects.toThrow();
      expect((await index.findToken("a"))?.user).toBe("ci");
    });

    test("there are no more than 10,000", async () => {
      const { index } = world();
      const all = Array.from({ length: 10_000 }, (_, n) => index.createToken(token(`t${n}`)));
      expect((await Promise.all(all)).every(Boolean)).toBe(true);
      expect(await index.createToken(token("one too many"))).toBe(false);
      await index.revokeToken("t7");
      expect(await index.createToken(token("in its place"))).toBe(true);
    });
  });

  describe("who holds a blob", () => {
    const world = worldOf(driver);

    test("every repository that links it, page by page; none for what is unknown", async () => {
      const { index } = world();
      for (const name of ["a", "b", "c"]) await world().upload(name, 1);
      await world().upload("d", 2);
      const all = await index.listHolders(blobNo(1), { offset: 0, limit: 9 });
      expect([...all].sort()).toEqual([repo("a"), repo("b"), repo("c")]);
      const first = await index.listHolders(blobNo(1), { offset: 0, limit: 2 });
      const rest = await index.listHolders(blobNo(1), { offset: 2, limit: 2 });
      expect([...first, ...rest]).toEqual([...all]);
      expect(await index.listHolders(blobNo(3), { offset: 0, limit: 9 })).toEqual([]);
    });
  });
}
