// The process: CPU, memory, descriptors, and how late the event loop is. prom-client's own, without those
// that mean nothing on this runtime.
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";

/** How often the loop's lag is looked at: often enough for a percentile, seldom enough to cost nothing. */
const lagPrecisionMs = 100;
const wanted = /^(?:process_(?!heap)|nodejs_eventloop_lag_)/;

export function addProcessMetrics(register: Registry, version: string): void {
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: lagPrecisionMs });
  for (const { name } of register.getMetricsAsArray()) {
    // The versions of the runtime's parts, its heap's spaces: always 0 here, or another engine's.
    if (!name.startsWith("plimsoll_") && !wanted.test(name)) register.removeSingleMetric(name);
  }
  const build = new Gauge({
    name: "plimsoll_build_info",
    help: "1, with the version as a label.",
    labelNames: ["version"],
    registers: [register],
  });
  build.set({ version }, 1);
}
