// Traces as a receiver of OTLP over HTTP gets them; off unless OpenTelemetry's variables ask for them.
import { afterEach, describe, expect, test } from "bun:test";
import type { Logs } from "../../src/observability/index.ts";
import { silentLogger } from "../../src/observability/logger.ts";
import { tracingSettings } from "../../src/observability/tracing/settings.ts";
import { pushImage, silentLogs, startServed } from "./served.ts";

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number };
}
interface ReceivedSpan {
  readonly traceId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
}
interface Payload {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly ReceivedSpan[] }[];
  }[];
}

class Receiver {
  readonly payloads: Payload[] = [];
  readonly requests: string[] = [];
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const key = request.headers.get("x-key");
      this.requests.push(`${request.method} ${new URL(request.url).pathname} ${key}`);
      this.payloads.push((await request.json()) as Payload);
      return Response.json({});
    },
  });

  get origin(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  get spans(): ReceivedSpan[] {
    return this.payloads.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    );
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }
}

function valueOf(attributes: readonly Attribute[], key: string): string | number | undefined {
  const value = attributes.find((attribute) => attribute.key === key)?.value;
  return value?.stringValue ?? value?.intValue;
}

const given = new Set<string>();
function setVariables(variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) {
    given.add(name);
    process.env[name] = value;
  }
}
afterEach(() => {
  for (const name of given) delete process.env[name];
});

describe("traces", () => {
  test("one span a request, below the caller's; nothing of a query", async () => {
    const receiver = new Receiver();
    setVariables({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.origin,
      OTEL_EXPORTER_OTLP_HEADERS: "x-key=abc",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=test",
    });
    const parent = "0af7651916cd43dd8448eb211c80319c";
    {
      await using served = await startServed();
      await pushImage(served.origin, "team/app", "x");
      const headers = {
        traceparent: `00-${parent}-b7ad6b7169203331-01`,
        "X-Request-Id": "id-1",
      };
      await fetch(`${served.origin}/v2/team/app/manifests/latest?token=s3cret`, { headers });
      await fetch(`${served.origin}/v2/none/manifests/x`, { headers: { traceparent: "nonsense" } });
    }
    expect(new Set(receiver.requests)).toEqual(new Set(["POST /v1/traces abc"]));
    const route = "/v2/{name}/manifests/{reference}";
    const pull = receiver.spans.find(({ traceId }) => traceId === parent);
    expect([pull?.name, pull?.kind, pull?.parentSpanId]).toEqual([
      `GET ${route}`,
      2,
      "b7ad6b7169203331",
    ]);
    const attributes = pull?.attributes ?? [];
    expect(valueOf(attributes, "http.route")).toBe(route);
    expect(valueOf(attributes, "http.response.status_code")).toBe(200);
    expect(valueOf(attributes, "url.path")).toBe("/v2/team/app/manifests/latest");
    expect(valueOf(attributes, "http.request.id")).toBe("id-1");
    expect(BigInt(pull?.endTimeUnixNano ?? 0) >= BigInt(pull?.startTimeUnixNano ?? 1)).toBe(true);
    expect(receiver.spans.filter(({ kind }) => kind === 2)).toHaveLength(5);
    expect(JSON.stringify(receiver.payloads)).not.toContain("s3cret");
    const resource = receiver.payloads[0]?.resourceSpans[0]?.resource.attributes ?? [];
    expect(valueOf(resource, "service.name")).toBe("registry");
    expect(valueOf(resource, "deployment.environment")).toBe("test");
    await receiver.stop();
  });

  test("below a request and a collection: what waited for the index and for the disk", async () => {
    const receiver = new Receiver();
    setVariables({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.origin });
    {
      await using served = await startServed();
      const digest = await pushImage(served.origin, "team/app", "x");
      const url = `${served.origin}/v2/team/app/manifests/${digest}`;
      await (await fetch(url)).text();
      await fetch(url, { method: "DELETE" });
      const headers = { "Content-Type": "application/json", "X-Plimsoll": "1" };
      const start = `${served.origin}/api/v1/collection/start`;
      const body = JSON.stringify({ keepDeletedSeconds: 0, graceSeconds: 0 });
      expect((await fetch(start, { method: "POST", headers, body })).status).toBe(202);
      await Bun.sleep(500);
    }
    const { spans } = receiver;
    const below = (name: string): string[] => {
      const parent = spans.find((span) => span.name === name);
      const parts = spans.filter(
        (span) =>
          span.traceId === parent?.traceId &&
          span.parentSpanId === (parent as { spanId?: string }).spanId,
      );
      for (const part of parts) {
        const [from, to] = [part.startTimeUnixNano, part.endTimeUnixNano].map(BigInt);
        // What began it was a little earlier than what is counted as its begin.
        expect((from ?? 0n) <= (to ?? 0n)).toBe(true);
        expect((to ?? 0n) <= BigInt(parent?.endTimeUnixNano ?? 0) + 1_000_000n).toBe(true);
      }
      return parts.map((part) => part.name);
    };
    const push = below("PUT /v2/{name}/manifests/{reference}");
    expect(push).toContain("storage putFile");
    expect(push).toContain("index acceptManifest");
    const upload = below("POST /v2/{name}/blobs/uploads/");
    expect(upload).toContain("storage append");
    expect(upload).toContain("digest");
    expect(upload).toContain("storage publish");
    expect(upload).toContain("index finishUpload");
    expect(below("GET /v2/{name}/manifests/{reference}")).not.toContain("index acceptManifest");
    const collection = below("collection");
    expect(collection).toContain("index condemn");
    expect(collection).toContain("storage remove");
    const removal = spans.find(({ name }) => name === "storage remove");
    expect(valueOf(removal?.attributes ?? [], "plimsoll.calls")).toBe(3);
    await receiver.stop();
  });

  test("a receiver that is away costs nobody anything but one warning", async () => {
    // A port that was free a moment ago.
    const gone = new Receiver();
    const { origin } = gone;
    await gone.stop();
    setVariables({ OTEL_EXPORTER_OTLP_ENDPOINT: origin });
    const warnings: string[] = [];
    const warn = (message: string): void => void warnings.push(message);
    const logs: Logs = { ...silentLogs, logger: { ...silentLogger, warn } };
    const served = await startServed("", { logs });
    await pushImage(served.origin, "a", "x");
    const begunMs = performance.now();
    await served[Symbol.asyncDispose]();
    expect(performance.now() - begunMs).toBeLessThan(15_000);
    expect(warnings.filter((text) => text.includes("traces"))).toHaveLength(1);
  }, 40_000);
});

describe("OpenTelemetry's variables", () => {
  test.each([
    [{}, false, null],
    [{ OTEL_SERVICE_NAME: "x" }, false, null],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318" }, true, null],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://c:4318/v1/traces" }, true, null],
    [{ OTEL_TRACES_EXPORTER: "otlp" }, true, null],
    [{ OTEL_TRACES_EXPORTER: "none", OTEL_EXPORTER_OTLP_ENDPOINT: "http://c" }, false, null],
    [{ OTEL_SDK_DISABLED: "TRUE", OTEL_EXPORTER_OTLP_ENDPOINT: "http://c" }, false, null],
    [{ OTEL_TRACES_EXPORTER: "zipkin" }, false, 'OTEL_TRACES_EXPORTER: "zipkin" is not built'],
    [
      { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
      false,
      'OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not spoken',
    ],
    [
      { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" },
      true,
      "sent as http/json",
    ],
  ])("%p", (env: Record<string, string>, enabled, warning) => {
    const settings = tracingSettings(env);
    expect(settings.enabled).toBe(enabled);
    if (warning === null) expect(settings.warnings).toEqual([]);
    else expect(settings.warnings.join()).toContain(warning);
  });
});
