// The three formats of log lines, as the classic's log library (logrus) writes them: text (logfmt),
// json and logstash. Keys sorted, values escaped, lines bounded. Pure: no clock, no output.
import { clip, fieldName, fieldValue, valueCharactersMax } from "./field-text.ts";
import type { FieldName } from "./field-text.ts";
import { plainLatin, quoteText } from "./quote.ts";

export type LogLevelName = "error" | "warning" | "info" | "debug" | "trace";

export interface LogEvent {
  readonly timeMs: number;
  readonly level: LogLevelName;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** One field, ready to be put into a line. */
interface Pair {
  readonly key: string;
  readonly text: string;
}

/** Fields that many lines share: formatted once, sorted by key. */
export type PreparedFields = readonly Pair[];

export interface LineFormat {
  prepare(fields: Readonly<Record<string, unknown>>): PreparedFields;
  /** With the line feed at the end; at most `lineCharactersMax` characters. */
  line(event: LogEvent, shared: PreparedFields): string;
}

export const lineCharactersMax = 16 * 1024;
const tooLong = "…(line too long)";
/** Names come from the code, so there are few; the bound is against a mistake. */
const namesMax = 2_000;

export function createLineFormat(formatter: "text" | "json" | "logstash"): LineFormat {
  return formatter === "text" ? new TextFormat() : new JsonFormat(formatter);
}

abstract class SortedFormat implements LineFormat {
  readonly #names = new Map<string, FieldName>();
  readonly #reserved: ReadonlySet<string>;

  constructor(reserved: readonly string[]) {
    this.#reserved = new Set(reserved);
  }

  abstract line(event: LogEvent, shared: PreparedFields): string;
  protected abstract pairText(key: string, value: string | number | boolean | null): string;

  prepare(fields: Readonly<Record<string, unknown>>): PreparedFields {
    const pairs = this.pairs(fields);
    // Whoever logs much names its fields in order.
    return isSorted(pairs) ? pairs : pairs.sort(byKey);
  }

  /** In no order. */
  protected pairs(fields: Readonly<Record<string, unknown>>): Pair[] {
    const pairs: Pair[] = [];
    for (const key in fields) {
      const value = fields[key];
      if (value === undefined) continue;
      const name = this.#nameOf(key);
      pairs.push({ key: name.text, text: this.pairText(name.text, fieldValue(value, name)) });
    }
    return pairs;
  }

  #nameOf(key: string): FieldName {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = fieldName(key, this.#reserved);
    if (this.#names.size < namesMax) this.#names.set(key, name);
    return name;
  }
}

function isSorted(pairs: readonly Pair[]): boolean {
  let last = "";
  for (const { key } of pairs) {
    if (key < last) return false;
    last = key;
  }
  return true;
}

function byKey(a: Pair, b: Pair): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** Joins two sorted lists; where both have a key, the own one counts. */
function joinPairs(own: readonly Pair[], shared: readonly Pair[], separator: string): string {
  let result = "";
  let at = 0;
  for (const pair of own) {
    let other = shared[at];
    while (other !== undefined && other.key < pair.key) {
      result += separator + other.text;
      at += 1;
      other = shared[at];
    }
    if (other?.key === pair.key) at += 1;
    result += separator + pair.text;
  }
  for (; at < shared.length; at++) result += separator + (shared[at]?.text ?? "");
  return result;
}

/** logrus' TextFormatter: these characters need no quotes. */
const unquoted = /^[a-zA-Z0-9\-._/@^+]*$/;

class TextFormat extends SortedFormat {
  constructor() {
    super(["time", "level", "msg", "logrus_error", "func", "file"]);
  }

  protected pairText(key: string, value: string | number | boolean | null): string {
    return `${key}=${textValue(value === null ? "<nil>" : String(value))}`;
  }

  line(event: LogEvent, shared: PreparedFields): string {
    const message =
      event.message === "" ? "" : ` msg=${textValue(clip(event.message, valueCharactersMax))}`;
    const head = `time="${timeText(event.timeMs)}" level=${event.level}${message}`;
    const line = head + joinPairs(this.prepare(event.fields), shared, " ");
    if (line.length < lineCharactersMax) return `${line}\n`;
    // A cut inside quotes leaves a value without its end, but never a second line.
    return `${line.slice(0, lineCharactersMax - tooLong.length - 1)}${tooLong}\n`;
  }
}

function textValue(text: string): string {
  return unquoted.test(text) ? text : quoteText(text);
}

class JsonFormat extends SortedFormat {
  readonly #timeKey: string;
  readonly #messageKey: string;
  readonly #version: string | undefined;

  constructor(formatter: "json" | "logstash") {
    const logstash = formatter === "logstash";
    super(logstash ? ["@timestamp", "@version", "level", "message"] : ["time", "level", "msg"]);
    this.#timeKey = logstash ? "@timestamp" : "time";
    this.#messageKey = logstash ? "message" : "msg";
    this.#version = logstash ? "1" : undefined;
  }

  protected pairText(key: string, value: string | number | boolean | null): string {
    return `${jsonValue(key)}:${jsonValue(value)}`;
  }

  line(event: LogEvent, shared: PreparedFields): string {
    const message = clip(event.message, valueCharactersMax);
    const line = this.#compose({ ...event, message }, this.pairs(event.fields), shared);
    if (line.length < lineCharactersMax) return line;
    // Valid JSON matters more than the fields. The message alone fits, escapes of six characters included.
    const cut = { key: "truncated", text: '"truncated":true' };
    return this.#compose({ ...event, message: clip(message, 2_000) }, [cut], []);
  }

  /** Adds to `own`, which is in no order. */
  #compose(event: LogEvent, own: Pair[], shared: PreparedFields): string {
    own.push(
      { key: "level", text: `"level":"${event.level}"` },
      { key: this.#messageKey, text: `"${this.#messageKey}":${jsonValue(event.message)}` },
      { key: this.#timeKey, text: `"${this.#timeKey}":"${timeText(event.timeMs)}"` },
    );
    if (this.#version !== undefined) {
      own.push({ key: "@version", text: `"@version":"${this.#version}"` });
    }
    return `{${joinPairs(own.sort(byKey), shared, ",").slice(1)}}\n`;
  }
}

/** JSON leaves the line separators of Unicode as they are; some readers break lines at them. */
const lineSeparators = /[\u007f-\u009f\u2028\u2029]/g;

function jsonValue(value: string | number | boolean | null): string {
  if (typeof value !== "string") return JSON.stringify(value);
  if (plainLatin.test(value)) return `"${value}"`;
  const text = JSON.stringify(value);
  return text.replace(lineSeparators, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

let lastTimeMs = Number.NaN;
let lastTimeText = "";

/** Many lines share a millisecond. */
function timeText(timeMs: number): string {
  if (timeMs !== lastTimeMs) {
    lastTimeMs = timeMs;
    lastTimeText = new Date(timeMs).toISOString();
  }
  return lastTimeText;
}
