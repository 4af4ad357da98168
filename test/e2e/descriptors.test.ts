// More connections than there are descriptors: what is under way goes on, newcomers are told to come again,
// and when the connections are gone so is the trouble.
import { expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { digestOf, mediaTypes, randomBytesOf } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { productCommand } from "../support/registry-process.ts";
import { describeWith } from "./clients.ts";
import { withSandbox } from "./sandbox.ts";

setDefaultTimeout(120_000);

const limit = 200;

/** Asks once, and stays. The first line of the answer; "" when none comes. */
function asked(port: number, sockets: Socket[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write("GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n");
    });
    sockets.push(socket);
    const timer = setTimeout(() => resolve(""), 5_000);
    const answered = (text: string): void => {
      clearTimeout(timer);
      resolve(text);
    };
    socket.on("data", (data) => answered(data.toString("latin1").split("\r\n", 1)[0] ?? ""));
    socket.on("error", () => answered(""));
    socket.on("close", () => answered(""));
  });
}

describeWith(["bash"], `${limit} descriptors, ${limit * 2} connections`, () => {
  test(
    "an upload under way is finished; others are refused, and served afterwards",
    withSandbox(async (sandbox) => {
      // Also the hard limit, which the runtime would go to.
      const command = ["bash", "-c", `ulimit -n ${limit}; exec "$@"`, "bash", ...productCommand];
      const server = await sandbox.start({ command });
      const http = new PushClient(server.url);
      const port = Number(new URL(server.url).port);
      const bytes = randomBytesOf("descriptors/upload", 1_000_000);
      const location = await http.beginUpload("app");
      const sockets: Socket[] = [];
      const flooded = Promise.withResolvers<void>();
      async function* body(): AsyncGenerator<Uint8Array> {
        yield bytes.subarray(0, 500_000);
        await flooded.promise;
        yield bytes.subarray(500_000);
      }
      const patched = http.send(location, {
        method: "PATCH",
        headers: { "Content-Type": mediaTypes.layer },
        body: body(),
        expect: [202],
      });
      await Bun.sleep(300);
      const answers: string[] = [];
      for (let n = 0; n < limit * 2; n += 20) {
        answers.push(
          ...(await Promise.all(Array.from({ length: 20 }, () => asked(port, sockets)))),
        );
      }
      const counted = Object.groupBy(answers, (answer) => answer);
      expect(counted["HTTP/1.1 200 OK"]?.length).toBeWithin(100, limit);
      expect(counted["HTTP/1.1 503 Service Unavailable"]?.length).toBeGreaterThan(limit / 2);
      expect(counted[""]).toBeUndefined();
      flooded.resolve();
      const { headers } = await patched;
      for (const socket of sockets) socket.destroy();
      await Bun.sleep(500);
      await http.finishUpload(headers.get("Location") ?? "", digestOf(bytes));
      expect(await http.getBlob("app", digestOf(bytes))).toEqual(new Uint8Array(bytes));
      const log = await server.log();
      expect(log.match(/descriptors run out/g)).toHaveLength(1);
      expect(log).not.toContain("EMFILE");
    }),
  );
});
