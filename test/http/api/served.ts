// A whole registry, put together as the program does it, in this process and a directory of its own; and a
// client of its API, which holds every answer against the description. The root is removed at the end.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "../../../src/compose/index.ts";
import { loadConfig } from "../../../src/config/index.ts";
import type { LogFields } from "../../../src/http/index.ts";
import type { Logger } from "../../../src/observability/index.ts";
import { PushClient } from "../../support/push-client.ts";
import { Description, type OpenApi } from "./described.ts";

export interface LoggedLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

export interface Served extends AsyncDisposable {
  readonly origin: string;
  readonly root: string;
  readonly lines: LoggedLine[];
  readonly push: PushClient;
  readonly description: Description;
  /** Asks; `path` is below /api/v1. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Asks for a document that must be there. */
  get<Document>(path: string): Promise<Document>;
  /** A change, with the header that it needs. */
  post(path: string, body?: object, headers?: Record<string, string>): Promise<Response>;
}

export interface ServedOptions {
  readonly deletes?: boolean;
  readonly readOnly?: boolean;
  /** Of the section `http`. */
  readonly http?: Readonly<Record<string, unknown>>;
  /** More sections. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** "/x/" of `http.prefix`. */
  readonly prefix?: string;
  readonly inMemory?: boolean;
}

export async function startServed(options: ServedOptions = {}): Promise<Served> {
  const root = mkdtempSync(join(tmpdir(), "plimsoll-api-"));
  const lines: LoggedLine[] = [];
  const configuration = configurationOf(root, options);
  const { config } = loadConfig({
    path: "config.yml",
    env: {},
    readFile: () => JSON.stringify(configuration),
  });
  const logs = {
    logger: loggerInto(lines),
    accessLog: { write: () => undefined },
    flush: () => Promise.resolve(),
  };
  const serving = await serve(config, logs, new AbortController().signal);
  const origin = `http://${serving.address}`;
  const base = `${origin}${options.prefix ?? "/"}api/v1`;
  const description = new Description(
    (await (await fetch(`${base}/openapi.json`)).json()) as OpenApi,
  );
  const ask: Served["ask"] = async (path, init) => {
    const response = await fetch(base + path, { redirect: "manual", ...init });
    const method = init?.method ?? "GET";
    if (response.headers.get("content-type")?.startsWith("application/json") === true) {
      const body = method === "HEAD" ? null : await response.clone().json();
      const [plain = ""] = path.split("?");
      if (method !== "HEAD" && plain !== "/openapi.json") {
        description.check({ method, path: plain }, response.status, body);
      }
    }
    return response;
  };
  return {
    origin,
    root,
    lines,
    push: new PushClient(origin),
    description,
    ask,
    get: async <Document>(path: string) => {
      const response = await ask(path);
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`);
      return JSON.parse(text) as Document;
    },
    post: (path, body, headers = {}) =>
      ask(path, {
        method: "POST",
        headers: { "X-Plimsoll": "1", "Content-Type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    [Symbol.asyncDispose]: async () => {
      await serving.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function configurationOf(root: string, options: ServedOptions): object {
  return {
    version: "0.1",
    storage: {
      ...(options.inMemory === true ? { inmemory: {} } : { filesystem: { rootdirectory: root } }),
      delete: { enabled: options.deletes ?? true },
      maintenance: { readonly: { enabled: options.readOnly ?? false } },
    },
    http: {
      addr: "127.0.0.1:0",
      draintimeout: "1s",
      prefix: options.prefix ?? "/",
      ...options.http,
    },
    // Nothing is collected but what a test asks for.
    gc: { enabled: false },
    ...options.more,
  };
}

function loggerInto(lines: LoggedLine[]): Logger {
  const log =
    (level: string): Logger["info"] =>
    (message, fields = {}) => {
      lines.push({ level, message, fields: fields as LogFields });
    };
  const logger: Logger = {
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    debug: log("debug"),
    child: () => logger,
    enabled: () => true,
    flush: () => Promise.resolve(),
  };
  return logger;
}
