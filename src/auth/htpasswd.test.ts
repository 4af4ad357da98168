import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHtpasswd, withEntry } from "./htpasswd.ts";
import { addUser, checkUserName, readHtpasswd, removeUser } from "./htpasswd-edit.ts";
import { HtpasswdFile } from "./htpasswd-file.ts";

/** "pw", at cost 5, as `htpasswd -B` writes it. */
const hashOfPw = "$2y$05$H5EzAz5fD5NpINMvSHfWxeta4U52UrUnar3fEx0KA7ja524LN.ndW";

const directory = mkdtempSync(join(tmpdir(), "plimsoll-htpasswd-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe("the text of an htpasswd file", () => {
  test("bcrypt counts, everything else is named by its line", () => {
    const { hashes, unusableLines } = parseHtpasswd(
      [
        "# comment",
        `alice:${hashOfPw}`,
        "",
        "md5:$apr1$x$y",
        "plain:password",
        `:${hashOfPw}`,
        "nothing",
        `crlf:${hashOfPw}\r`,
        `dear:${hashOfPw.replace("$05$", "$31$")}`,
        // 22 letters of salt and 31 of hash leave bits over, which are zero.
        `salt:${hashOfPw.slice(0, 28)}z${hashOfPw.slice(29)}`,
        `end:${hashOfPw.slice(0, -1)}z`,
      ].join("\n"),
    );
    expect([...hashes.keys()]).toEqual(["alice", "crlf"]);
    expect(hashes.get("crlf")).toBe(hashOfPw);
    expect(unusableLines).toEqual([4, 5, 6, 7, 9, 10, 11]);
  });

  test("an entry is replaced where it stands, added at the end, taken out; the rest stays", () => {
    const text = "# users\nalice:old\nbob:b\n";
    expect(withEntry(text, "alice", "new")).toBe("# users\nalice:new\nbob:b\n");
    expect(withEntry(text, "carol", "c")).toBe("# users\nalice:old\nbob:b\ncarol:c\n");
    expect(withEntry(text, "alice", null)).toBe("# users\nbob:b\n");
    expect(withEntry("alice:a\nalice:b", "alice", "c")).toBe("alice:c\n");
    expect(withEntry("", "alice", "c")).toBe("alice:c\n");
    expect(withEntry("alice:a\n", "alice", null)).toBe("");
    expect(withEntry("alice:a", "ali", "c")).toBe("alice:a\nali:c\n");
  });
});

describe("changing the file", () => {
  test("adds, changes, removes; keeps rights, and what a link points to", async () => {
    const path = join(directory, "users");
    expect(await addUser(path, "alice", "pw")).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o640);
    const link = join(directory, "link");
    symlinkSync(path, link);
    expect(await addUser(link, "bob", "other")).toBe(true);
    expect(await addUser(path, "alice", "changed")).toBe(false);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    const { hashes } = readHtpasswd(path);
    expect([...hashes.keys()]).toEqual(["alice", "bob"]);
    expect(hashes.get("alice")).toStartWith("$2y$10$");
    expect(await Bun.password.verify("changed", hashes.get("alice") ?? "")).toBe(true);
    expect(removeUser(path, "carol")).toBe(false);
    expect(removeUser(path, "alice")).toBe(true);
    expect([...readHtpasswd(path).hashes.keys()]).toEqual(["bob"]);
  });

  test("refuses what could not be logged in with, and never leaves half a file", async () => {
    const path = join(directory, "refused");
    expect(addUser(path, "a:b", "pw")).rejects.toThrow("no name of a user");
    expect(addUser(path, "alice", "")).rejects.toThrow("empty");
    expect(addUser(path, "alice", "x".repeat(73))).rejects.toThrow("at most 72");
    for (const name of ["a b", "*", "a\u001B[2J", "a\u0000", "#a", "", "a".repeat(256)]) {
      expect(() => checkUserName(name)).toThrow("no name of a user");
    }
    writeFileSync(path, "bob:b\n");
    writeFileSync(`${path}.new`, "somebody else is at it");
    expect(addUser(path, "alice", "pw")).rejects.toThrow("another change is under way");
    expect(readFileSync(path, "utf8")).toBe("bob:b\n");
  });
});

describe("the file as it is now", () => {
  test("is read again when it changes, within a second; unreadable, it names nobody", () => {
    const path = join(directory, "live");
    const said: string[] = [];
    const say = (message: string): void => void said.push(message);
    let nowMs = 0;
    const file = new HtpasswdFile(path, { now: () => nowMs }, { info: say, warn: say, error: say });
    expect(file.hashes.size).toBe(0);
    expect(said.join()).toContain("registry htpasswd add");
    const empty = file.version;
    writeFileSync(path, `alice:${hashOfPw}\nbad:x\n`);
    expect(file.version).toBe(empty);
    nowMs += 1_000;
    expect(file.version).not.toBe(empty);
    expect([...file.hashes.keys()]).toEqual(["alice"]);
    expect(said.join()).toContain("line 2");
    expect(said.join()).not.toContain(hashOfPw);
    rmSync(path);
    nowMs += 1_000;
    expect(file.hashes.size).toBe(0);
    // A clock that is put back does not keep it alive.
    writeFileSync(path, `bob:${hashOfPw}\n`);
    nowMs -= 3_600_000;
    expect([...file.hashes.keys()]).toEqual(["bob"]);
  });
});
