// An upload that is under way outlives its server: whatever is known of it is on disk, so another
// process goes on where the first one stopped, however that one ended.
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestOf, randomBytesOf } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { withSandbox } from "./sandbox.ts";

setDefaultTimeout(60_000);

const repository = "team/resumed";
const bytes = randomBytesOf("upload-restart", 300_000);
const digest = digestOf(bytes);

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(
    `an upload goes on after its server ended by ${signal}, twice`,
    withSandbox(async (sandbox) => {
      let server = await sandbox.start();
      const http = new PushClient(server.url);
      let location = await http.beginUpload(repository);
      let sent = 0;
      for (const size of [100_000, 123_456]) {
        location = await patch(http, location, [sent, sent + size]);
        sent += size;
        await server.stop(signal);
        server = await sandbox.start();
        const status = await http.send(location, { method: "GET", expect: [204] });
        expect(status.headers.get("Range")).toBe(`0-${sent - 1}`);
      }
      const early = http.send(location, part([0, 5], [416]));
      expect((await early).headers.get("Range")).toBe(`0-${sent - 1}`);
      location = await patch(http, location, [sent, bytes.length]);
      await http.finishUpload(location, digest);
      expect(await http.getBlob(repository, digest)).toEqual(new Uint8Array(bytes));
      expect(await sandbox.command("verify", "--hash")).toMatchObject({ exitCode: 0 });
    }),
  );
}

function part([from, to]: readonly [number, number], expected: number[]) {
  return {
    method: "PATCH",
    headers: { "Content-Range": `${from}-${to - 1}` },
    body: bytes.subarray(from, to),
    expect: expected,
  };
}

async function patch(
  http: PushClient,
  location: string,
  range: readonly [number, number],
): Promise<string> {
  const answer = await http.send(location, part(range, [202]));
  return answer.headers.get("Location") ?? "";
}
