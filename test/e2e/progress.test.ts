// The progress bar of garbage-collect, verify and reindex, on a real pseudo-terminal: it is there, with lines
// whole above it, and gone at the end and after Ctrl-C; and it is not there where nobody looks.
import { mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { makeImage } from "../support/images.ts";
import { PushClient } from "../support/push-client.ts";
import { productCommand, repositoryRoot } from "../support/registry-process.ts";
import { type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(120_000);

const repository = "team/app";
const kept = makeImage("progress/kept", [4096, 1024]);
const doomed = makeImage("progress/doomed", [4096, 1024, 2048]);
/** A beginning of what each of them draws. */
const bar =
  /(?:removing|walking the tree|looking at blobs|reading blobs) \[[#-]{24}\] \d+%  [\d,.]+/;

interface OnTerminal {
  readonly exitCode: number;
  /** All that was written to the terminal. */
  readonly raw: string;
  /** What a person sees at the end, line by line. */
  readonly screen: readonly string[];
}

interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Behind the command, as a shell reads it. */
  readonly redirect?: string;
  /** Hears everything written so far. */
  readonly watch?: (raw: string, pressCtrlC: () => void) => void;
}

async function onTerminal(
  sandbox: Sandbox,
  args: readonly string[],
  options: TerminalOptions = {},
): Promise<OnTerminal> {
  let raw = "";
  const decoder = new TextDecoder();
  const words = [...productCommand, ...args, sandbox.configPath].map((word) => `'${word}'`);
  const child = Bun.spawn(["sh", "-c", `exec ${words.join(" ")} ${options.redirect ?? ""}`], {
    cwd: repositoryRoot,
    env: { ...process.env, CI: "", TERM: "xterm", ...options.env },
    terminal: {
      cols: 300,
      rows: 50,
      data: (terminal, data) => {
        raw += decoder.decode(data, { stream: true });
        options.watch?.(raw, () => void terminal.write("\u0003"));
      },
    },
  });
  const exitCode = await child.exited;
  // What was written last may still be on its way.
  for (let seen = -1; seen !== raw.length;) {
    seen = raw.length;
    await Bun.sleep(100);
  }
  child.terminal?.close();
  return { exitCode, raw, screen: screenOf(raw) };
}

/** A terminal that knows what the commands use: carriage return, line feed, erase to the right. */
function screenOf(raw: string): string[] {
  const lines = [""];
  let column = 0;
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  for (const [token] of raw.matchAll(/\u001b\[[\d;?]*[A-Za-z]|[\s\S]/g)) {
    const line = lines.at(-1) ?? "";
    if (token === "\r") column = 0;
    else if (token === "\n") lines.push("");
    else if (token === "\u001b[K") lines[lines.length - 1] = line.slice(0, column);
    else if (token.length > 1)
      throw new Error(`the terminal does not know ${JSON.stringify(token)}`);
    else {
      lines[lines.length - 1] =
        line.slice(0, column).padEnd(column) + token + line.slice(column + 1);
      column += 1;
    }
  }
  return lines.map((line) => line.trimEnd());
}

async function pushAndDelete(url: string): Promise<void> {
  const http = new PushClient(url);
  await http.push(repository, "kept", kept);
  await http.push(repository, "doomed", doomed);
  await http.deleteManifest(repository, doomed.manifest.digest);
}

describe.each(["beside a running server", "alone"])("a bar %s", (where) => {
  const prepared = (body: (sandbox: Sandbox) => Promise<void>): (() => Promise<void>) =>
    withSandbox(async (sandbox) => {
      const server = await sandbox.start();
      await pushAndDelete(server.url);
      if (where === "alone") expect(await server.stop()).toBe(0);
      await body(sandbox);
    });

  test(
    "of verify, reindex and garbage-collect: there, and gone at the end; lines above it are whole",
    prepared(async (sandbox) => {
      for (const args of [["verify", "--hash"], ["garbage-collect"], ["reindex"]]) {
        const { exitCode, raw, screen } = await onTerminal(sandbox, args);
        expect(exitCode, raw).toBe(0);
        expect(raw).toMatch(bar);
        const seen = screen.join("\n");
        expect(seen).not.toMatch(bar);
        expect(seen).not.toContain("[#");
        if (args[0] === "reindex") expect(screen).toContain("the index agrees with the tree");
        if (args[0] === "verify") expect(screen).toContain("everything is in order");
        if (args[0] !== "garbage-collect") continue;
        for (const { digest } of [doomed.manifest, doomed.config, ...doomed.layers]) {
          expect(screen).toContain(`blob eligible for deletion: ${digest}`);
          const deleting = screen.filter((line) => line.includes(digest.slice(7)));
          expect(deleting.at(-1)).toMatch(
            /^time=".*" level=info msg="Deleting blob: .*version=\S+$/,
          );
        }
      }
    }),
  );
});

test(
  "no bar in CI, on a dumb terminal, or when stderr is none; none in what goes to a file",
  withSandbox(async (sandbox) => {
    const elsewhere: readonly TerminalOptions[] = [
      { env: { CI: "true" } },
      { env: { TERM: "dumb" } },
      { redirect: "2>/dev/null" },
    ];
    for (const options of elsewhere) {
      const { exitCode, raw, screen } = await onTerminal(sandbox, ["verify"], options);
      expect(exitCode, raw).toBe(0);
      expect(raw).not.toContain("walking the tree [");
      expect(raw).not.toContain("\u001b");
      expect(screen).toContain("everything is in order");
    }
    const path = join(sandbox.directory, "out.txt");
    const { raw } = await onTerminal(sandbox, ["verify"], { redirect: `>${path}` });
    expect(raw).toContain("walking the tree [");
    const out = await readFile(path, "utf8");
    expect(out).toEndWith("\neverything is in order\n");
    expect(out).not.toContain("[");
  }),
);

test(
  "no bar with --quiet",
  withSandbox(async (sandbox) => {
    const server = await sandbox.start();
    await pushAndDelete(server.url);
    const { exitCode, raw } = await onTerminal(sandbox, ["garbage-collect", "--quiet"]);
    expect(exitCode, raw).toBe(0);
    expect(raw).toContain("Deleting blob: ");
    expect(raw).not.toContain("removing");
  }),
);

test(
  "Ctrl-C takes the bar away, says so, and exits with 1",
  withSandbox(async (sandbox) => {
    // Long enough to be interrupted: 3 GB of nothing, which need no space on the disk.
    const hex = "ab".repeat(32);
    const blob = join(sandbox.tree, "blobs/sha256/ab", hex);
    await mkdir(blob, { recursive: true });
    await writeFile(join(blob, "data"), "");
    await truncate(join(blob, "data"), 3_000_000_000);
    let pressed = false;
    const { exitCode, raw, screen } = await onTerminal(sandbox, ["verify", "--hash"], {
      watch: (seen, pressCtrlC) => {
        if (pressed || !bar.test(seen)) return;
        pressed = true;
        pressCtrlC();
      },
    });
    expect(pressed, raw).toBe(true);
    expect(exitCode, raw).toBe(1);
    expect(screen.filter((line) => line !== "").at(-1)).toMatch(/interrupted$/);
    expect(screen.join("\n")).not.toMatch(bar);
  }),
);
