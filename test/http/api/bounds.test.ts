// Immutable tags and quotas hold for what is changed over the API, too.
import { expect, setDefaultTimeout, test } from "bun:test";
import { makeImage } from "../../support/images.ts";
import { startServed } from "./served.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(120_000);

const first = makeImage("bounds/first", [100]);
const second = makeImage("bounds/second", [200]);
const more = {
  immutable: [{ name: "releases", repositories: ["team/*"], tags: ["v*"] }],
  quotas: [{ name: "small", repositories: ["**"], manifests: 1 }],
};

async function refusal(response: Response): Promise<string> {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return `${response.status} ${error.code} ${error.message}`;
}

test("what a held tag names can be deleted in no way", async () => {
  await using served = await startServed({ more });
  await served.push.push("team/app", "v1", first);
  await served.push.push("team/app", "latest", first);
  const digest = first.manifest.digest;
  for (const path of ["", "/-/tags/v1", `/-/images/${digest}`]) {
    const init = { method: "DELETE", headers: { "X-Plimsoll": "1" } };
    const response = await served.ask(`/repositories/team/app${path}`, init);
    expect(await refusal(response)).toContain(
      '403 DENIED the tag v1 of team/app is immutable by the rule "releases"',
    );
  }
  expect(await served.push.tags("team/app")).toEqual(["latest", "v1"]);
  expect((await served.push.pull("team/app", "v1")).digest).toBe(digest);
});

test("a restore that a quota forbids says so, and leaves what it was", async () => {
  await using served = await startServed({ more });
  await served.push.push("other", "x", first);
  await served.push.deleteManifest("other", first.manifest.digest);
  await served.push.push("other", "y", second);
  const restore = { repository: "other", tag: "x" };
  const denied = await served.post("/deletions/restore", restore);
  expect(await refusal(denied)).toContain('403 DENIED the quota "small" allows other 1 manifest');
  await served.push.deleteManifest("other", second.manifest.digest);
  expect((await served.post("/deletions/restore", restore)).status).toBe(200);
});
