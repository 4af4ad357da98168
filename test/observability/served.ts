// A registry served by this process, from a config.yml as an operator would write it, with its debug
// address and its logs at hand.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Serving, serve } from "../../src/compose/index.ts";
import { loadConfig } from "../../src/config/index.ts";
import type { Logs } from "../../src/observability/index.ts";
import { silentLogger } from "../../src/observability/logger.ts";

export interface Served extends AsyncDisposable {
  readonly serving: Serving;
  readonly root: string;
  /** "http://127.0.0.1:port" */
  readonly origin: string;
  readonly debugOrigin: string;
  /** A text from the debug address; fails on any other status. */
  debug(path: string): Promise<string>;
}

export const silentLogs: Logs = {
  logger: silentLogger,
  accessLog: { write: () => undefined },
  flush: () => Promise.resolve(),
};

/** @param more sections at the top level; `http` and `storage` are there already. */
export async function startServed(
  more = "",
  options: { readonly debug?: string; readonly logs?: Logs; readonly root?: string } = {},
): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), "plimsoll-observed-"));
  const root = options.root ?? join(directory, "root");
  const path = join(directory, "config.yml");
  writeFileSync(
    path,
    `version: 0.1
storage:
  filesystem: {rootdirectory: ${root}}
  delete: {enabled: true}
http:
  addr: 127.0.0.1:0
  secret: very-s3cret-indeed
  draintimeout: 1s
  debug: {addr: "127.0.0.1:0"${options.debug ?? ", prometheus: {enabled: true}"}}
gc: {grace: 0s, keepdeleted: 0s}
${more}
`,
  );
  const { config } = loadConfig({ path, env: {} });
  const serving = await serve(config, options.logs ?? silentLogs, new AbortController().signal);
  const debugOrigin = `http://${serving.debugAddress}`;
  return {
    serving,
    root,
    origin: `http://${serving.address}`,
    debugOrigin,
    debug: async (where) => {
      const response = await fetch(debugOrigin + where);
      const text = await response.text();
      if (!response.ok) throw new Error(`${where}: ${response.status} ${text}`);
      return text;
    },
    [Symbol.asyncDispose]: async () => {
      await serving.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The value of one series, e.g. `plimsoll_blobs` or `x_total{code="200"}`; null: there is none. */
export function sampleOf(metrics: string, series: string): number | null {
  const line = metrics.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? null : Number(line.slice(series.length + 1));
}

/** All lines that are samples. */
export function samplesIn(metrics: string): string[] {
  return metrics.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** Pushes an image of one layer; the digest of its manifest. */
export async function pushImage(origin: string, name: string, content: string): Promise<string> {
  const push = async (text: string): Promise<object> => {
    const digest = sha256(text);
    const url = `${origin}/v2/${name}/blobs/uploads/?digest=${digest}`;
    const response = await fetch(url, { method: "POST", body: text });
    if (response.status !== 201) throw new Error(await response.text());
    return { mediaType: "application/octet-stream", digest, size: Buffer.byteLength(text) };
  };
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const config = await push(`{"of":${JSON.stringify(content)}}`);
  const layers = [await push(content)];
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType, config, layers });
  const url = `${origin}/v2/${name}/manifests/latest`;
  const headers = { "Content-Type": mediaType };
  const response = await fetch(url, { method: "PUT", headers, body: manifest });
  if (response.status !== 201) throw new Error(await response.text());
  return sha256(manifest);
}

function sha256(text: string): string {
  return `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;
}
