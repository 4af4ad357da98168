// OpenTelemetry traces: one span a request, a child of the caller's where it sends `traceparent`, and one
// a collection; below each what waited for the index and for the disk (ledger.ts). Spans are made when the
// work is over, since only then it is known what it was. Endpoint, headers, sampling and batches are as
// OpenTelemetry's variables say. Loaded only when traces are sent.
import {
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  type Context,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { Index, RunRecord } from "../../registry/ports/index.ts";
import type { Storage } from "../../registry/ports/storage.ts";
import { isUsualMethod, routeTemplate } from "../route-templates.ts";
import { type Done, Ledger, ledgers, notedDigest, notedIndex, notedStorage } from "./ledger.ts";

export interface TracedRequest {
  readonly kind: string;
  readonly method: string;
  readonly status: number;
  readonly durationMs: number;
  readonly path: string;
  readonly requestId: string;
  readonly headers: Headers;
}

export interface TracingOptions {
  readonly version: string;
  /** Told, at most once a minute, that spans could not be sent. */
  readonly warn: (message: string, fields: Readonly<Record<string, string>>) => void;
}

/** A stop waits no longer than this for a receiver that does not answer. */
const flushMsMax = 3_000;
const warnMsMin = 60_000;
const pathCharactersMax = 1_024;

const fromHeaders: TextMapGetter<Headers> = {
  keys: (headers) => [...headers.keys()],
  get: (headers, name) => headers.get(name) ?? undefined,
};

export class Tracing {
  readonly #provider: BasicTracerProvider;
  readonly #tracer: Tracer;
  readonly #warn: (error: string) => void;
  readonly #propagator = new W3CTraceContextPropagator();

  constructor({ version, warn }: TracingOptions) {
    this.#warn = seldom(warn);
    listenToLibrary(this.#warn);
    const own = { "service.name": "registry", "service.version": version };
    const resource = resourceFromAttributes(own);
    this.#provider = new BasicTracerProvider({
      resource: resource.merge(detectResources({ detectors: [envDetector] })),
      spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
    });
    this.#tracer = this.#provider.getTracer("plimsoll", version);
  }

  /** Does a request or a collection; what is done in it is noted until it is told as completed. */
  readonly within = <Result>(work: () => Promise<Result>): Promise<Result> =>
    ledgers.run(new Ledger(), work);

  readonly digesting = notedDigest;

  /** @param writes names of operations that change the index. */
  watchIndex(index: Index, writes: ReadonlySet<string>): Index {
    return notedIndex(index, writes);
  }

  watchStorage(storage: Storage): Storage {
    return notedStorage(storage);
  }

  begun(): void {
    // The span is made at the end.
  }

  received(): void {
    // Bytes are the metrics' matter.
  }

  completed(request: TracedRequest): void {
    const endMs = Date.now();
    const route = routeTemplate(request.kind);
    const method = isUsualMethod(request.method) ? request.method : "_OTHER";
    const { headers } = request;
    const context = headers.has("traceparent")
      ? this.#propagator.extract(ROOT_CONTEXT, headers, fromHeaders)
      : ROOT_CONTEXT;
    const options = {
      kind: SpanKind.SERVER,
      startTime: endMs - request.durationMs,
      attributes: {
        "http.request.method": method,
        "http.response.status_code": request.status,
        "http.route": route,
        // Without the query, where secrets may be.
        "url.path": request.path.slice(0, pathCharactersMax),
        "http.request.id": request.requestId,
      },
    };
    const span = this.#tracer.startSpan(`${method} ${route}`, options, context);
    this.#addParts(span, context, endMs);
    end(span, request.status >= 500, endMs);
  }

  collectionEnded(record: RunRecord): void {
    const { startedAtMs, durationMs, errors } = record;
    const attributes = {
      "plimsoll.collection.asked_by": record.askedBy,
      "plimsoll.collection.manifests": record.manifests,
      "plimsoll.collection.blobs": record.blobs,
      "plimsoll.collection.bytes": record.bytes,
    };
    const options = { startTime: startedAtMs, attributes };
    const span = this.#tracer.startSpan("collection", options, ROOT_CONTEXT);
    const endMs = startedAtMs + (durationMs ?? 0);
    this.#addParts(span, ROOT_CONTEXT, endMs);
    end(span, errors.length > 0, endMs);
  }

  /** Of what is noted, one span each below this one. @param endMs when that was over, which is now */
  #addParts(span: Span, context: Context, endMs: number): void {
    const parts = ledgers.getStore()?.close() ?? [];
    // Not chosen by the sampler: then its parts are not either.
    if (!span.isRecording()) return;
    const below = trace.setSpan(context, span);
    const nowMs = performance.now();
    const at = (ms: number): number => endMs - (nowMs - ms);
    for (const part of parts) {
      const options = { startTime: at(part.firstBeganMs), attributes: attributesOf(part) };
      end(
        this.#tracer.startSpan(part.name, options, below),
        part.failures > 0,
        at(part.lastEndedMs),
      );
    }
  }

  /** Sends what waits, as long as somebody takes it. Never rejects. */
  async stop(): Promise<void> {
    const timeout = new Promise<string>((resolve) => {
      setTimeout(() => {
        resolve("the receiver did not answer");
      }, flushMsMax).unref();
    });
    const sent = this.#provider.shutdown().then(
      () => null,
      (error: unknown) => String(error),
    );
    const failure = await Promise.race([sent, timeout]);
    if (failure !== null) this.#warn(failure);
    diag.disable();
  }
}

/** Of a single call the span itself says all. */
function attributesOf({ calls, busyMs, failures }: Done): Readonly<Record<string, number>> {
  if (calls === 1) return {};
  return {
    "plimsoll.calls": calls,
    "plimsoll.busy_ms": Math.round(busyMs * 1_000) / 1_000,
    ...(failures === 0 ? {} : { "plimsoll.failures": failures }),
  };
}

function end(span: Span, isFailure: boolean, endMs: number): void {
  if (isFailure) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(endMs);
}

/** A receiver that is away fails every batch. */
function seldom(warn: TracingOptions["warn"]): (error: string) => void {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (performance.now() - toldAtMs < warnMsMin) return;
    toldAtMs = performance.now();
    warn("traces could not be sent", { error: messageIn(error).slice(0, 300) });
  };
}

/** The library tells an error as JSON, with its stack. */
function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { readonly message?: unknown };
    return typeof message === "string" ? message : text;
  } catch {
    return text;
  }
}

/** The library's only way to say what fails. */
function listenToLibrary(error: (text: string) => void): void {
  const nothing = (): void => undefined;
  const logger = { error, warn: nothing, info: nothing, debug: nothing, verbose: nothing };
  diag.setLogger(logger, { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true });
}
