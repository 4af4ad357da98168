// A registry served by this process from a config.yml that tests change under it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReloadOutcome } from "../../src/compose/reload.ts";
import { type Serving, serve } from "../../src/compose/index.ts";
import { loadConfig } from "../../src/config/index.ts";
import type { Logs } from "../../src/observability/index.ts";
import { createLineFormat } from "../../src/observability/log-format.ts";
import { createLogger } from "../../src/observability/logger.ts";

export interface Reloaded extends AsyncDisposable {
  readonly serving: Serving;
  readonly directory: string;
  readonly origin: string;
  readonly debugOrigin: string;
  readonly lines: readonly string[];
  /** Writes these sections, with more in `http` and `storage`, and has them taken. */
  reload(sections: string, more?: More): Promise<ReloadOutcome>;
  stop(): Promise<void>;
}

interface More {
  readonly http?: string;
  readonly storage?: string;
}

/** @param sections besides `storage`, without a load line, and `http`. */
export async function startReloaded(
  sections: (directory: string) => string,
  initial: More & { readonly directory?: string } = {},
): Promise<Reloaded> {
  const { storage = "", http: inHttp = "" } = initial;
  const directory = initial.directory ?? mkdtempSync(join(tmpdir(), "plimsoll-reload-"));
  const path = join(directory, "config.yml");
  const write = (
    text: string,
    { http = inHttp, storage: inStorage = storage }: More = {},
  ): void => {
    writeFileSync(
      path,
      `version: 0.1
storage: {filesystem: {rootdirectory: ${join(directory, "root")}}, delete: {enabled: true}${inStorage}}
http: {addr: "127.0.0.1:0", draintimeout: 1s, debug: {addr: "127.0.0.1:0"}${http}}
${text}
`,
    );
  };
  write(sections(directory));
  const load = () => loadConfig({ path, env: {} });
  const lines: string[] = [];
  const writer = { write: (line: string) => void lines.push(line), flush: () => Promise.resolve() };
  const format = createLineFormat("text");
  const logger = createLogger({ level: "info", format, fields: {}, writer });
  const logs: Logs = {
    logger,
    accessLog: { write: () => undefined },
    flush: () => Promise.resolve(),
  };
  const serving = await serve(load().config, logs, {
    signal: new AbortController().signal,
    load,
    setLogs: ({ level, fields, formatter }) => {
      logger.replace({ level, fields, format: createLineFormat(formatter) });
    },
  });
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => (stopped ??= serving.stop());
  return {
    serving,
    directory,
    origin: `http://${serving.address}`,
    debugOrigin: `http://${serving.debugAddress}`,
    lines,
    stop,
    reload: async (text, more) => {
      write(text, more);
      return await serving.reload();
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export const sha256 = (text: string): string =>
  `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;

/** Where to, and as whom. */
interface Where {
  readonly origin: string;
  readonly headers?: Record<string, string>;
}

export async function pushBlob(
  { origin, headers = {} }: Where,
  name: string,
  text: string,
): Promise<Response> {
  const url = `${origin}/v2/${name}/blobs/uploads/?digest=${sha256(text)}`;
  return await fetch(url, { method: "POST", body: text, headers });
}

export async function pushImage(where: Where, image: string, content: string): Promise<Response> {
  const { origin, headers = {} } = where;
  const [name = "", tag = "latest"] = image.split(":");
  await pushBlob(where, name, content);
  await pushBlob(where, name, "{}");
  const descriptor = (text: string) => ({
    mediaType: "application/octet-stream",
    digest: sha256(text),
    size: Buffer.byteLength(text),
  });
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: descriptor("{}"),
    layers: [descriptor(content)],
  };
  return await fetch(`${origin}/v2/${name}/manifests/${tag}`, {
    method: "PUT",
    headers: { ...headers, "Content-Type": mediaType },
    body: JSON.stringify(manifest),
  });
}
