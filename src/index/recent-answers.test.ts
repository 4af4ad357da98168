import { describe, expect, test } from "bun:test";
import { RecentAnswers } from "./recent-answers.ts";

function setUp() {
  const writer = { begun: 0, answered: 0 };
  return { writer, recent: new RecentAnswers<string>(writer) };
}

describe("RecentAnswers", () => {
  test("an answer holds until a change is begun", () => {
    const { writer, recent } = setUp();
    recent.add("a", "one");
    expect(recent.get("a")).toBe("one");
    writer.begun += 1;
    expect(recent.get("a")).toBeUndefined();
    writer.answered += 1;
    expect(recent.get("a")).toBeUndefined();
    recent.add("a", "two");
    expect(recent.get("a")).toBe("two");
  });

  test("a change that nobody looked during is noticed all the same", () => {
    const { writer, recent } = setUp();
    recent.add("a", "one");
    writer.begun += 1;
    writer.answered += 1;
    expect(recent.get("a")).toBeUndefined();
  });

  test("what is answered while a change is under way is not kept", () => {
    const { writer, recent } = setUp();
    writer.begun += 2;
    recent.add("a", "before the change, or after it");
    writer.answered += 1;
    recent.add("a", "still nobody knows");
    writer.answered += 1;
    expect(recent.get("a")).toBeUndefined();
  });

  test("of very many, the latest are kept", () => {
    const { recent } = setUp();
    for (let n = 0; n < 10_000; n++) recent.add(`key ${n}`, "answer");
    expect(recent.get("key 0")).toBeUndefined();
    expect(recent.get("key 9999")).toBe("answer");
    const kept = Array.from({ length: 10_000 }, (_, n) => recent.get(`key ${n}`));
    expect(kept.filter((answer) => answer !== undefined)).toHaveLength(4096);
  });
});
