// Requests, counted and timed by endpoint and never by what a client names: the series are as many as
// endpoints, methods and statuses are, whatever is asked for. Counted in plain numbers, which become metrics
// when they are read.
import { Counter, Gauge, type Registry } from "prom-client";
import { isUsualMethod, routeTemplate } from "../route-templates.ts";
import { Durations, type DurationSeries } from "./durations.ts";

/** From an answer out of memory to a layer that takes minutes to arrive. */
const secondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 300];

export interface CountedRequest {
  /** The endpoint. */
  readonly kind: string;
  readonly method: string;
  readonly status: number;
  /** Until the answer was decided: without the time that its body takes to be sent. */
  readonly durationMs: number;
  /** Of the answer's body. */
  readonly writtenBytes: number;
}

/** Of one endpoint and method. */
interface Counted {
  readonly seconds: DurationSeries;
  /** By status. */
  readonly codes: Map<number, number>;
}

export class RequestMetrics {
  readonly #durations: Durations;
  readonly #counted = new Map<string, Map<string, Counted>>();
  /** By limit: the names are few and fixed. */
  readonly #refused = new Map<string, number>();
  #underWay = 0;
  #receivedBytes = 0;
  #sentBytes = 0;

  constructor(register: Registry) {
    this.#durations = new Durations({
      name: "plimsoll_http_request_duration_seconds",
      help: "Time until the answer was decided: receiving a body counts, sending one does not.",
      buckets: secondsBuckets,
      register,
    });
    const registers = [register];
    const collect = (metric: Gauge | Counter, value: number): void => {
      metric.reset();
      metric.inc(value);
    };
    const underWay: Gauge = new Gauge({
      name: "plimsoll_http_requests_in_progress",
      help: "Requests whose answer is not decided yet.",
      registers,
      collect: (): void => collect(underWay, this.#underWay),
    });
    const received: Counter = new Counter({
      name: "plimsoll_http_received_bytes_total",
      help: "Bytes of blobs and manifests that arrived in request bodies.",
      registers,
      collect: (): void => collect(received, this.#receivedBytes),
    });
    const sent: Counter = new Counter({
      name: "plimsoll_http_sent_bytes_total",
      help: "Bytes of response bodies, as announced: a client that goes away takes fewer.",
      registers,
      collect: (): void => collect(sent, this.#sentBytes),
    });
    const refused = new Counter({
      name: "plimsoll_http_refused_total",
      help: "Requests refused or given up for a limit of http.limits, by limit.",
      labelNames: ["limit"],
      registers,
      collect: (): void => {
        refused.reset();
        for (const [limit, count] of this.#refused) refused.inc({ limit }, count);
      },
    });
    const requests = new Counter({
      name: "plimsoll_http_requests_total",
      help: "Requests answered, by endpoint, method and status.",
      labelNames: ["route", "method", "code"],
      registers,
      collect: (): void => {
        requests.reset();
        this.#tell(requests);
      },
    });
  }

  begun(): void {
    this.#underWay += 1;
  }

  received(bytes: number): void {
    this.#receivedBytes += bytes;
  }

  refused(limit: string): void {
    this.#refused.set(limit, (this.#refused.get(limit) ?? 0) + 1);
  }

  completed(request: CountedRequest): void {
    const { seconds, codes } = this.#of(request.kind, request.method);
    const { status } = request;
    this.#underWay -= 1;
    this.#sentBytes += request.writtenBytes;
    codes.set(status, (codes.get(status) ?? 0) + 1);
    seconds.observe(request.durationMs / 1000);
  }

  #of(kind: string, method: string): Counted {
    return this.#counted.get(kind)?.get(method) ?? this.#add(kind, method);
  }

  /** Methods that the registry does not know share a series. */
  #add(kind: string, method: string): Counted {
    if (!isUsualMethod(method) && method !== "other") return this.#of(kind, "other");
    const route = routeTemplate(kind);
    const byMethod = this.#counted.get(kind) ?? new Map<string, Counted>();
    const counted = { seconds: this.#durations.series({ route, method }), codes: new Map() };
    this.#counted.set(kind, byMethod.set(method, counted));
    return counted;
  }

  #tell(requests: Counter<"route" | "method" | "code">): void {
    for (const byMethod of this.#counted.values()) {
      for (const { seconds, codes } of byMethod.values()) {
        for (const [code, count] of codes) requests.inc({ ...seconds.labels, code }, count);
      }
    }
  }
}
