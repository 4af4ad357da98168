// Whether traces are sent, as OpenTelemetry's variables say it. Off unless one of them asks for it: a
// registry that nobody told where to send its traces sends none (the classic 3.x tries localhost).

export type TracingEnvironment = Readonly<Record<string, string | undefined>>;

export interface TracingSettings {
  readonly enabled: boolean;
  /** Why it is off although something was asked for, or what is done otherwise than asked. */
  readonly warnings: readonly string[];
}

const off: TracingSettings = { enabled: false, warnings: [] };

export function tracingSettings(env: TracingEnvironment): TracingSettings {
  const exporter = env["OTEL_TRACES_EXPORTER"] ?? "";
  const endpoint =
    env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] ?? env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "";
  const isDisabled = env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true";
  if (isDisabled || exporter === "none" || (exporter === "" && endpoint === "")) return off;
  if (exporter !== "" && exporter !== "otlp") {
    return refused(
      `OTEL_TRACES_EXPORTER: "${exporter.slice(0, 40)}" is not built; otlp and none are`,
    );
  }
  const protocol =
    env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] ?? env["OTEL_EXPORTER_OTLP_PROTOCOL"] ?? "";
  if (protocol === "" || protocol === "http/json") return { enabled: true, warnings: [] };
  if (protocol === "http/protobuf") {
    const warning =
      "OTEL_EXPORTER_OTLP_PROTOCOL: traces are sent as http/json instead of http/protobuf, to the same address";
    return { enabled: true, warnings: [warning] };
  }
  return refused(
    `OTEL_EXPORTER_OTLP_PROTOCOL: "${protocol.slice(0, 40)}" is not spoken, so no traces are sent; expected http/json`,
  );
}

function refused(warning: string): TracingSettings {
  return { enabled: false, warnings: [warning] };
}
