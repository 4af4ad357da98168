// What others feel while a background cycle removes 20,000 blobs: latency of small pushes and of manifest
// GETs, without and during a cycle, in turns of a few seconds in one run (a cycle that is stopped goes on
// where it was), on the disk as it is and on one where each unlink takes longer.
// Run: bun bench/latency-bench.ts [--turns 4] [--seconds 4] [--blobs 20000] [--wait 7]
//   [--pace prompt] [--results bench/RESULTS.md]
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { makeImage } from "../test/support/images.ts";
import { PushClient } from "../test/support/push-client.ts";
import { addGarbage } from "./fill-index.ts";
import { percentile } from "./measure.ts";
import { appendResults } from "./results.ts";

const pushers = 2;
const getters = 2;
/** Between two requests of a client, so that it is latency that is measured and not a full queue. */
const betweenRequestsMs = 5;

const { values } = parseArgs({
  options: {
    turns: { type: "string", default: "4" },
    seconds: { type: "string", default: "4" },
    blobs: { type: "string", default: "20000" },
    wait: { type: "string", default: "7" },
    pace: { type: "string", default: "background" },
    results: { type: "string" },
  },
});

interface Latencies {
  readonly pushMs: number[];
  readonly getMs: number[];
}

class Server {
  readonly #process: Bun.Subprocess;
  readonly #messages: Record<string, unknown>[] = [];
  #heard: () => void = () => undefined;

  constructor(root: string, unlinkWaitMs: number) {
    const file = resolve(import.meta.dir, "latency-server.ts");
    this.#process = Bun.spawn([process.execPath, file, root, String(unlinkWaitMs), values.pace], {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      ipc: (message: unknown) => {
        this.#messages.push(message as Record<string, unknown>);
        this.#heard();
      },
    });
  }

  async hear(): Promise<Record<string, unknown>> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      await new Promise<void>((heard) => {
        this.#heard = heard;
      });
    }
  }

  async ask(message: string): Promise<Record<string, unknown>> {
    this.#process.send(message);
    return await this.hear();
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}

/** One turn: pushes and GETs for so long. */
async function turn(url: string, name: string, into: Latencies): Promise<void> {
  const http = new PushClient(url);
  const endMs = performance.now() + Number(values.seconds) * 1000;
  const timed = async (times: number[], work: () => Promise<unknown>): Promise<void> => {
    const begunMs = performance.now();
    await work();
    times.push(performance.now() - begunMs);
    await Bun.sleep(betweenRequestsMs);
  };
  const pusher = async (_: unknown, who: number): Promise<void> => {
    for (let n = 0; performance.now() < endMs; n++) {
      const image = makeImage(`${name}/${who}/${n}`, [1024]);
      await timed(into.pushMs, () => http.push("bench/pushes", `${name}-${who}-${n}`, image));
    }
  };
  const getter = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await timed(into.getMs, () => http.statusOf("/v2/bench/kept/manifests/kept"));
    }
  };
  await Promise.all([
    ...Array.from({ length: pushers }, pusher),
    ...Array.from({ length: getters }, getter),
  ]);
}

interface Measured {
  readonly disk: string;
  readonly quiet: Latencies;
  readonly busy: Latencies;
  readonly blobs: number;
}

async function measure(directory: string, disk: string, waitMs: number): Promise<Measured> {
  const root = join(directory, disk.replaceAll(" ", "-"));
  mkdirSync(root, { recursive: true });
  console.error(`latency bench: ${values.blobs} blobs, ${disk}`);
  await addGarbage(root, Number(values.blobs));
  const server = new Server(root, waitMs);
  const quiet: Latencies = { pushMs: [], getMs: [] };
  const busy: Latencies = { pushMs: [], getMs: [] };
  let blobs = 0;
  try {
    const url = `http://${String((await server.hear())["address"])}`;
    await new PushClient(url).push("bench/kept", "kept", makeImage("kept", [1024]));
    await turn(url, "warm", { pushMs: [], getMs: [] });
    for (let n = 0; n < Number(values.turns); n++) {
      await turn(url, `quiet-${n}`, quiet);
      await server.ask("collect");
      await turn(url, `busy-${n}`, busy);
      blobs += Number((await server.ask("stop"))["blobs"]);
    }
  } finally {
    await server.stop();
    rmSync(root, { recursive: true, force: true });
  }
  return { disk, quiet, busy, blobs };
}

function rowsOf({ disk, quiet, busy, blobs }: Measured): string[] {
  return (["pushMs", "getMs"] as const).map((what) => {
    const numbers = [50, 99].map((percent) => {
      const [without, during] = [percentile(quiet[what], percent), percentile(busy[what], percent)];
      return `${without.toFixed(1)} | ${during.toFixed(1)} | ${(during / without).toFixed(2)}`;
    });
    const name = what === "pushMs" ? "push of a small image" : "manifest GET by tag";
    return `| ${name}, ${disk} | ${numbers.join(" | ")} | ${busy[what].length} | ${blobs} |`;
  });
}

const head = [
  "| what | p50 without, ms | during | ratio | p99 without, ms | during | ratio | requests during | blobs removed meanwhile |",
  "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
];

const directory = join(tmpdir(), `plimsoll-latency-${process.pid}`);
try {
  const table = [...head];
  table.push(...rowsOf(await measure(directory, "the disk as it is", 0)));
  const wait = Number(values.wait);
  table.push(...rowsOf(await measure(directory, `each unlink ${wait} ms slower`, wait)));
  console.log(table.join("\n"));
  if (values.results !== undefined) {
    await appendResults(values.results, {
      title: "What others feel while a background cycle removes 20,000 blobs",
      conditions: [
        "written by `bun bench/latency-bench.ts`; to reach: p99 within 1.5 times of without",
        `${values.turns} turns of ${values.seconds} s each, without and during in turns; ${pushers} clients push, ${getters} get`,
      ],
      table: table.join("\n"),
    });
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
