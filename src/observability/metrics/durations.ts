// A histogram for what happens ten thousand times a second. prom-client's own finds its series by hashing
// the labels each time, which takes as long as a twentieth of a small answer; here whoever observes keeps
// its series. The registry of prom-client prints it like any other.
import type { Metric, MetricValueWithName, Registry } from "prom-client";

export interface DurationsOptions {
  readonly name: string;
  readonly help: string;
  /** Upper bounds in seconds, ascending, without infinity. */
  readonly buckets: readonly number[];
  readonly register: Registry;
}

type Labels = Readonly<Record<string, string>>;

/** Of one combination of labels. */
export class DurationSeries {
  readonly labels: Labels;
  readonly #bounds: readonly number[];
  /** One more than bounds: what was longer than the last. */
  readonly #counts: number[];
  #sumSeconds = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(seconds: number): void {
    const bounds = this.#bounds;
    // From the shortest on, where nearly everything is.
    let at = 0;
    while (at < bounds.length && seconds > (bounds[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sumSeconds += seconds;
  }

  /** Empty: nothing has been observed, so there is no series yet. */
  values(name: string): MetricValueWithName<string>[] {
    const values: MetricValueWithName<string>[] = [];
    let count = 0;
    const add = (suffix: string, value: number, labels: Record<string, string>): void => {
      values.push({ metricName: `${name}_${suffix}`, value, labels });
    };
    for (const [at, inBucket] of this.#counts.entries()) {
      count += inBucket;
      add("bucket", count, { ...this.labels, le: String(this.#bounds[at] ?? "+Inf") });
    }
    if (count === 0) return [];
    add("sum", this.#sumSeconds, { ...this.labels });
    add("count", count, { ...this.labels });
    return values;
  }
}

export class Durations {
  readonly #options: DurationsOptions;
  readonly #series: DurationSeries[] = [];

  constructor(options: DurationsOptions) {
    this.#options = options;
    // The registry asks for a name and for `get`; of its own classes alone its types say more.
    const metric = { name: options.name, get: () => Promise.resolve(this.#get()) };
    options.register.registerMetric(metric as unknown as Metric);
  }

  /** To be kept: asked for again, it is another one. */
  series(labels: Labels): DurationSeries {
    const series = new DurationSeries(labels, this.#options.buckets);
    this.#series.push(series);
    return series;
  }

  #get(): object {
    const { name, help } = this.#options;
    const values = this.#series.flatMap((series) => series.values(name));
    return { name, help, type: "histogram", values, aggregator: "sum" };
  }
}
