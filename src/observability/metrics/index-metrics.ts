// Times every operation of the index. What is answered inline is timed on the spot, since requests wait
// for it by the ten thousand a second; a change is timed until it is durable.
import type { Registry } from "prom-client";
import type { Index } from "../../registry/ports/index.ts";
import { Durations, type DurationSeries } from "./durations.ts";

/** Look-ups on the way of pulls. Answered before they return. */
const inline: ReadonlySet<string> = new Set<keyof Index>([
  "findBlob",
  "findBlobAnywhere",
  "findManifest",
  "findTag",
  "findSizes",
  "findUpload",
  "listTags",
  "listRepositories",
  "listReferrers",
]);

/** Microseconds for what is in memory, milliseconds for a fsync, 5 s for a client that is sent away. */
const secondsBuckets = [0.00001, 0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 5];

type Method = (...args: readonly unknown[]) => unknown;

export function timedIndex(index: Index, register: Registry): Index {
  const durations = new Durations({
    name: "plimsoll_index_operation_duration_seconds",
    help: "Operations of the index; those that change it end when the change is durable.",
    buckets: secondsBuckets,
    register,
  });
  const methods = Object.entries(index).map(([name, method]) => {
    const series = durations.series({ operation: name });
    const time = inline.has(name) ? timedInline : timed;
    return [name, time(method as Method, series)];
  });
  return Object.fromEntries(methods) as Index;
}

function timedInline(method: Method, series: DurationSeries): Method {
  return (...args) => {
    const begunMs = performance.now();
    const answer = method(...args);
    series.observe((performance.now() - begunMs) / 1000);
    return answer;
  };
}

function timed(method: Method, series: DurationSeries): Method {
  return (...args) => {
    const begunMs = performance.now();
    const answer = method(...args);
    const observe = (): void => {
      series.observe((performance.now() - begunMs) / 1000);
    };
    // Its failure is for who asked.
    if (answer instanceof Promise) answer.then(observe, observe);
    else observe();
    return answer;
  };
}
