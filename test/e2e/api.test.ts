// The JSON API from outside: what a person, a script or a page does with it, beside real pushes and pulls.
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestsOf, makeImage } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { storedDigests, withSandbox } from "./sandbox.ts";

// A slow disk and a busy machine are no failure.
setDefaultTimeout(240_000);

const image = makeImage("api/doomed", [4096, 1024]);
const kept = makeImage("api/kept", [2048]);

test(
  "find an image, delete it, watch the disk come back, and read about it afterwards",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start();
    const client = new PushClient(server.url);
    await client.push("team/app", "v1", image);
    await client.push("team/app", "latest", kept);
    const api = `${server.url}/api/v1`;
    const ask = async (path: string, init?: RequestInit): Promise<Record<string, unknown>> => {
      const response = await fetch(api + path, init);
      const text = await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
      return JSON.parse(text) as Record<string, unknown>;
    };
    const change = (method: string, path: string, body?: object) =>
      ask(path, {
        method,
        headers: { "X-Plimsoll": "1", "Content-Type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });

    expect(await ask("/openapi.json")).toMatchObject({ openapi: "3.1.1" });
    expect(await ask("/repositories?search=team/*")).toMatchObject({
      items: [{ name: "team/app", manifests: 2 }],
    });
    expect(await ask("/repositories/team%2Fapp/-/images/v1")).toMatchObject({
      digest: image.manifest.digest,
      config: { content: { architecture: "amd64" } },
    });

    const events = await fetch(`${api}/collection/events`);
    const reader = (events.body as ReadableStream<Uint8Array>).getReader();
    await change("DELETE", `/repositories/team/app/-/images/${image.manifest.digest}`);
    const listed = await ask("/deletions");
    expect(listed).toMatchObject({ items: [{ repository: "team/app", reason: "api" }] });
    await change("POST", "/deletions/restore", { repository: "team/app", tag: "v1" });
    expect((await client.pull("team/app", "v1")).digest).toBe(image.manifest.digest);
    await change("DELETE", `/repositories/team/app/-/images/${image.manifest.digest}`);
    await change("POST", "/collection/start", { keepDeletedSeconds: 0 });
    let heard = "";
    while (!heard.includes("event: ended")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`the events ended: ${heard}`);
      heard += new TextDecoder().decode(value);
    }
    expect(await storedDigests(sandbox)).toEqual(digestsOf(kept).toSorted());
    const { stdout } = await sandbox.command("garbage-collect", "--history", "--json");
    const { runs } = JSON.parse(stdout) as { runs: object[] };
    expect(runs).toMatchObject([{ askedBy: "api", blobs: digestsOf(image).length }]);

    await change("POST", "/verification/start", { hash: true });
    for (;;) {
      const { current, last } = await ask("/verification");
      if (current !== null) continue;
      expect(last).toMatchObject({ report: { isSound: true } });
      break;
    }
    const log = await server.log();
    expect(log).toMatch(/msg=audit.* action=startCollection /);
    // A stream that is open keeps nobody from stopping.
    expect(await server.stop()).toBe(0);
  }),
);
