// The OpenAPI document: valid for a public validator, complete, and a description of what is really answered.
// (What every other test here asks is held against it, too: served.ts.)
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { makeImage } from "../../support/images.ts";
import type { OpenApi } from "./described.ts";
import { type Served, startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

describe("the OpenAPI document", () => {
  let served: Served;
  let document: OpenApi;
  beforeAll(async () => {
    served = await startServed();
    document = await served.get<OpenApi>("/openapi.json");
  });
  afterAll(() => served[Symbol.asyncDispose]());

  test("is valid OpenAPI 3.1", async () => {
    const validator = new Validator();
    // It puts what references lead to in their place.
    const result = await validator.validate(structuredClone(document));
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    expect(validator.version).toBe("3.1");
    // Every reference leads somewhere.
    expect(() => validator.resolveRefs()).not.toThrow();
  });

  test("a broken one would be noticed", async () => {
    const broken = { ...document, paths: { "/x": { get: { responses: 1 } } } };
    expect((await new Validator().validate(broken)).valid).toBe(false);
    const reply = { name: "plimsoll" };
    expect(() => served.description.check({ method: "GET", path: "/" }, 200, reply)).toThrow(
      "must have required property",
    );
    const more = { items: [], next: null, more: 1 };
    expect(() =>
      served.description.check({ method: "GET", path: "/repositories" }, 200, more),
    ).toThrow("must NOT have additional properties");
    expect(() =>
      served.description.check({ method: "GET", path: "/repositories" }, 418, {}),
    ).toThrow("not described");
  });

  test("says what has to be given, and what need not", async () => {
    interface Given {
      readonly parameters?: readonly { readonly name: string; readonly required: boolean }[];
      readonly requestBody?: { readonly required: boolean };
    }
    const { paths } = await served.get<{ paths: Record<string, Record<string, Given>> }>(
      "/openapi.json",
    );
    const requiredIn = (path: string): unknown =>
      paths[path]?.["get"]?.parameters?.map(({ name, required }) => [name, required]);
    expect(requiredIn("/deletions/preview")).toEqual([["of", true]]);
    expect(requiredIn("/usage/history")).toEqual([["limit", false]]);
    expect(paths["/deletions/restore"]?.["post"]?.requestBody?.required).toBe(true);
    expect(paths["/collection/start"]?.["post"]?.requestBody?.required).toBe(false);
    const missing = await served.ask("/deletions/preview");
    expect([missing.status, await missing.text()]).toMatchObject([
      400,
      expect.stringContaining("of is missing; expected: string") as string,
    ]);
    const wrong = await served.ask("/repositories/a/-/tags/b?digest=x", {
      method: "DELETE",
      headers: { "X-Plimsoll": "1" },
    });
    expect(await wrong.text()).toContain("digest: expected sha256:<64 hex> or sha512:<128 hex>");
  });

  test("every schema is used, every operation has a name of its own", () => {
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const text = JSON.stringify(document);
    const unused = Object.keys(document.components?.schemas ?? {}).filter(
      (name) => !text.includes(`"#/components/schemas/${name}"`),
    );
    expect(unused).toEqual([]);
  });

  test("what is read answers as described, with one repository in it and with none", async () => {
    const reads = Object.entries(document.paths)
      .filter(([path, methods]) => "get" in methods && path !== "/collection/events")
      .map(([path]) => path.replace("{name}", "team/app").replace("{reference}", "v1"))
      .map((path) => (path === "/deletions/preview" ? `${path}?of=team/app` : path));
    for (const path of reads) expect([200, 404]).toContain((await served.ask(path)).status);
    await served.push.push("team/app", "v1", makeImage("described", [100]));
    for (const path of reads) expect([path, (await served.ask(path)).status]).toEqual([path, 200]);
  });

  test("its servers, and all else, are below http.prefix", async () => {
    await using prefixed = await startServed({ prefix: "/x/" });
    const { servers } = await prefixed.get<{ servers: unknown }>("/openapi.json");
    expect(servers).toEqual([{ url: "/x/api/v1" }]);
    expect((await prefixed.ask("/repositories")).status).toBe(200);
    expect((await fetch(`${prefixed.origin}/api/v1/repositories`)).status).toBe(404);
  });
});
