import { describe, expect, test } from "bun:test";
import { userName } from "./user-name.ts";

const accounts =
  "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbad name:x:7:7\n";

describe("who runs a command", () => {
  test.each([
    [0, "root"],
    [1000, "ann"],
    [1001, "uid 1001"],
    [7, "uid 7"],
  ])("the user %i is %s", (uid, name) => {
    expect(userName(uid, () => accounts)).toBe(name);
  });

  test("is a number where nobody has written names down", () => {
    const absent = (): string => {
      throw new Error("ENOENT");
    };
    expect(userName(5, absent)).toBe("uid 5");
  });

  test("is not what the variable USER says", () => {
    const { USER } = process.env;
    process.env["USER"] = "somebody-else";
    try {
      expect(userName()).not.toBe("somebody-else");
    } finally {
      if (USER === undefined) delete process.env["USER"];
      else process.env["USER"] = USER;
    }
  });
});
