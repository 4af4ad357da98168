import { expect, test } from "bun:test";
import { z } from "zod";
import { requestProblem } from "./request-problem.ts";

test("what a schema refuses is said in words", () => {
  const { error } = z.strictObject({ names: z.array(z.string()).max(1) }).safeParse({
    names: ["a", "b"],
  });
  expect(requestProblem("usage", error)).toMatchObject({
    message: "registry usage: names: Too big: expected array to have <=1 items",
  });
  const other = new Error("x");
  expect(requestProblem("usage", other)).toBe(other);
});
