// Retention over the API: the rules, a preview, an application that does what was foretold, refusals.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { makeImage } from "../../support/images.ts";
import { type Served, startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

interface Status {
  readonly rules: readonly { readonly name: string }[];
  readonly current: object | null;
  readonly last: {
    readonly what: string;
    readonly going: readonly { readonly tag: string | null; readonly rule: string }[];
    readonly goingCount: number;
    readonly report: { readonly tags: number; readonly bytes: number | null } | null;
    readonly refused: readonly object[];
  } | null;
}

const retention = [
  { name: "ci", repositories: ["ci/**"], tags: ["*"], keep: { newest: 2 }, interval: "1000h" },
  {
    name: "none",
    repositories: ["empty"],
    tags: ["*"],
    keep: { matching: ["v*"] },
    interval: "1000h",
  },
];

async function whenOver(served: Served): Promise<NonNullable<Status["last"]>> {
  for (;;) {
    const { current, last } = await served.get<Status>("/retention");
    if (current === null && last !== null) return last;
    await Bun.sleep(20);
  }
}

async function pushBuilds(served: Served): Promise<void> {
  for (const n of [1, 2, 3, 4]) {
    await served.push.push("ci/app", `build-${n}`, makeImage(`build ${n}`, [100 * n]));
    // The order of pushes is that of their milliseconds.
    await Bun.sleep(2);
  }
  await served.push.push("other", "x", makeImage("other", [10]));
  await served.push.push("empty", "x", makeImage("empty", [10]));
}

// Leases would keep what was pushed just now.
const gc = { enabled: false, grace: "0s", keepdeleted: "24h" };

describe("retention", () => {
  test("is previewed, applied as foretold, and can be undone", async () => {
    await using served = await startServed({ more: { retention, gc } });
    await pushBuilds(served);
    expect((await served.get<Status>("/retention")).rules).toMatchObject([
      {
        name: "ci",
        repositories: ["ci/**"],
        keep: { newest: 2, pushedWithinSeconds: null, matching: null },
        intervalSeconds: 3_600_000,
      },
      { name: "none" },
    ]);
    const begun = await served.post("/retention/preview");
    expect(begun.status).toBe(202);
    const preview = await whenOver(served);
    expect(preview).toMatchObject({ what: "preview", goingCount: 2, report: { tags: 2 } });
    const names = preview.going.map(({ tag, rule }) => `${tag} ${rule}`);
    expect(names.toSorted()).toEqual(["build-1 ci", "build-2 ci"]);
    expect(preview.refused).toEqual([{ repository: "empty", rules: ["none"] }]);
    expect(await served.get<object>("/repositories/ci/app")).toMatchObject({ tags: 4 });

    await served.post("/retention/apply", { rule: "ci", repositories: ["ci/*"] });
    let applied = await whenOver(served);
    while (applied.what !== "apply") applied = await whenOver(served);
    expect(applied.report?.bytes).toBe(preview.report?.bytes ?? -1);
    expect(await served.get<object>("/repositories/ci/app")).toMatchObject({ tags: 2 });
    const { items } = await served.get<{ items: object[] }>("/deletions?repository=ci/app");
    expect(items).toMatchObject([{ reason: "retention rule ci" }, { reason: "retention rule ci" }]);
    const back = await served.post("/deletions/restore", { repository: "ci/app", tag: "build-1" });
    expect(back.status).toBe(200);
  });

  test("refuses rules that are not there, and what may not be", async () => {
    await using served = await startServed({ deletes: false, more: { retention, gc } });
    const unknown = await served.post("/retention/preview", { rule: "nothing" });
    expect(unknown.status).toBe(400);
    expect(await unknown.text()).toContain("there are ci, none");
    expect((await served.post("/retention/preview", { repositories: ["\u0001"] })).status).toBe(
      400,
    );
    expect((await served.post("/retention/stop")).status).toBe(409);
    const refused = await served.post("/retention/apply");
    expect([refused.status, await refused.json()]).toMatchObject([
      403,
      { error: { code: "DELETE_DISABLED" } },
    ]);
    const both = await Promise.all([
      served.post("/retention/preview"),
      served.post("/retention/preview"),
    ]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([202, 409]);
    await whenOver(served);
  });
});
