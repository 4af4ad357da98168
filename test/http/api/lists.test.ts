// Lists of the API: cursors that stay right while others push and delete, searches, sorts.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { makeImage } from "../../support/images.ts";
import { type Served, startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

interface Page {
  readonly items: readonly { readonly name: string }[];
  readonly next: string | null;
}

/** Follows `next` to the end; `between` is done after each page. */
async function pagesOf(
  served: Served,
  path: string,
  between: (page: number) => Promise<unknown> = () => Promise.resolve(),
): Promise<string[][]> {
  const pages: string[][] = [];
  let at: string | null = path;
  while (at !== null) {
    const response = await served.ask(at);
    expect(response.status).toBe(200);
    const page = (await response.json()) as Page;
    pages.push(page.items.map(({ name }) => name));
    const link = page.next === null ? null : `<${page.next}>; rel="next"`;
    expect(response.headers.get("link")).toBe(link);
    at = page.next?.replace(/^\/api\/v1/, "") ?? null;
    await between(pages.length);
  }
  return pages;
}

const image = makeImage("lists", [10]);

describe("repositories", () => {
  let served: Served;
  beforeAll(async () => {
    served = await startServed();
    for (const name of ["b", "a/b", "a-b", "c/d/e", "d"]) await served.push.push(name, "x", image);
  });
  afterAll(() => served[Symbol.asyncDispose]());

  test("in pages, in byte order", async () => {
    const pages = await pagesOf(served, "/repositories?limit=2");
    expect(pages).toEqual([["a-b", "a/b"], ["b", "c/d/e"], ["d"]]);
    expect(await pagesOf(served, "/repositories?limit=5")).toHaveLength(1);
  });

  test.each([
    ["a", ["a-b", "a/b"]],
    ["b", ["a-b", "a/b", "b"]],
    ["/", ["a/b", "c/d/e"]],
    ["*", ["a-b", "b", "d"]],
    ["**/e", ["c/d/e"]],
    ["{a,c}/**", ["a/b", "c/d/e"]],
    ["?", ["b", "d"]],
    ["z", []],
  ])("search %s finds %p, in pages of one, too", async (search, names) => {
    const query = `search=${encodeURIComponent(search)}`;
    expect((await pagesOf(served, `/repositories?${query}`)).flat()).toEqual(names);
    const one = await pagesOf(served, `/repositories?limit=1&${query}`);
    expect(one.flat()).toEqual(names);
    expect(one).toHaveLength(Math.max(1, names.length));
  });

  test("none is left out or comes twice while others come and go", async () => {
    const changes = [
      async () => {
        await served.push.push("a/a", "x", image);
        await served.push.push("c", "x", image);
      },
      () => served.push.deleteManifest("b", image.manifest.digest),
    ];
    const pages = await pagesOf(
      served,
      "/repositories?limit=2",
      async (n) => await changes[n - 1]?.(),
    );
    // "a/a" came behind the cursor, "c" before it; "b" was shown before it went.
    expect(pages.flat()).toEqual(["a-b", "a/b", "b", "c", "c/d/e", "d"]);
  });
});

describe("tags", () => {
  let served: Served;
  const path = "/repositories/team/app/-/tags";
  beforeAll(async () => {
    served = await startServed();
    for (const tag of ["v2", "v1", "v10", "latest"]) {
      await served.push.push("team/app", tag, makeImage(tag, [10]));
      // The order of pushes is that of their milliseconds.
      await Bun.sleep(2);
    }
  });
  afterAll(() => served[Symbol.asyncDispose]());

  test.each([
    ["name", ["latest", "v1", "v10", "v2"]],
    ["-name", ["v2", "v10", "v1", "latest"]],
    ["pushed", ["v2", "v1", "v10", "latest"]],
    ["-pushed", ["latest", "v10", "v1", "v2"]],
  ])("sorted by %s: %p, in pages of any size", async (sort, names) => {
    for (const limit of [1, 2, 3, 4, 100]) {
      const pages = await pagesOf(served, `${path}?sort=${sort}&limit=${limit}`);
      expect(pages.flat()).toEqual(names);
      expect(pages).toHaveLength(Math.ceil(names.length / limit));
    }
  });

  test("sorted by size and by the time of the last pull", async () => {
    const sizes = [
      ["small", 10],
      ["large", 3_000],
      ["middle", 200],
    ] as const;
    for (const [tag, size] of sizes) {
      await served.push.push("sized", tag, makeImage(`sized ${tag}`, [size]));
    }
    const sized = "/repositories/sized/-/tags";
    for (const limit of [1, 2, 3]) {
      expect((await pagesOf(served, `${sized}?sort=size&limit=${limit}`)).flat()).toEqual([
        "small",
        "middle",
        "large",
      ]);
    }
    await served.push.pull("sized", "middle");
    // Pulls are noted some seconds later.
    let pulled: string[] = [];
    while (pulled[0] !== "middle") {
      await Bun.sleep(200);
      pulled = (await pagesOf(served, `${sized}?sort=-pulled&limit=1`)).flat();
    }
    expect(pulled).toEqual(["middle", "small", "large"]);
    expect(await served.get<object>("/repositories/sized/-/images/small")).toMatchObject({
      pulledAt: null,
    });
    const other = await served.get<Page>(`${sized}?sort=size&limit=1`);
    const cursor = new URLSearchParams(other.next?.split("?")[1]).get("cursor");
    expect((await served.ask(`${sized}?sort=-size&cursor=${cursor}`)).status).toBe(400);
  });

  test("a cursor of another order is refused", async () => {
    const { next } = await served.get<Page>(`${path}?sort=name&limit=1`);
    const cursor = new URLSearchParams(next?.split("?")[1]).get("cursor");
    const other = await served.ask(`${path}?sort=-pushed&cursor=${cursor}`);
    expect(other.status).toBe(400);
    expect(await other.text()).toContain("sort=name");
  });

  test("the newest first, while tags are deleted, moved and added", async () => {
    const changes = [
      // Shown already, and gone before the next page.
      () => served.push.send("/v2/team/app/manifests/latest", { method: "DELETE", expect: [202] }),
      // Not shown yet, and moved before the cursor: it is new, and this list began before that.
      () => served.push.push("team/app", "v1", makeImage("v1 again", [10])),
      () => served.push.push("team/app", "v11", makeImage("v11", [10])),
    ];
    const pages = await pagesOf(
      served,
      `${path}?sort=-pushed&limit=1`,
      async (n) => await changes[n - 1]?.(),
    );
    expect(pages.flat()).toEqual(["latest", "v10", "v2"]);
    expect((await pagesOf(served, `${path}?sort=-pushed`)).flat()).toEqual([
      "v11",
      "v1",
      "v10",
      "v2",
    ]);
  });

  test("more than one look-up's worth of them", async () => {
    const many = Array.from({ length: 450 }, (_, n) => `t${String(n).padStart(3, "0")}`);
    const { manifest } = image;
    await served.push.push("many", "t000", image);
    for (let n = 1; n < many.length; n += 90) {
      const tags = many.slice(n, n + 90).map((tag) => `tag=${tag}`);
      await served.push.putManifest("many", `${manifest.digest}?${tags.join("&")}`, manifest);
    }
    const pages = await pagesOf(served, "/repositories/many/-/tags?limit=401");
    expect(pages.map((page) => page.length)).toEqual([401, 49]);
    expect(pages.flat()).toEqual(many);
    expect(
      (await pagesOf(served, "/repositories/many/-/tags?sort=-pushed&limit=1000")).flat(),
    ).toHaveLength(450);
  });
});
