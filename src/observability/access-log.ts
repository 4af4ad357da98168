// The access log: one Apache "combined" line a request, as the classic writes it (gorilla/handlers).
// On the path of every request, so it must stay cheap. Everything that a client sends is escaped,
// secrets in a query are masked. Never throws.
import { clip, maskQuery } from "./field-text.ts";
import type { LineWriter } from "./line-writer.ts";
import { escapeText } from "./quote.ts";

export interface AccessEntry {
  /** When the request began, in milliseconds since the epoch. */
  readonly timeMs: number;
  /** Without the port; "" where there is none (unix sockets). */
  readonly remoteAddress: string;
  /** Absent or "": nobody is logged in. */
  readonly user?: string;
  readonly method: string;
  /** Path and query as the client sent them. */
  readonly uri: string;
  readonly status: number;
  /** Of the body. */
  readonly writtenBytes: number;
  /** "" where there is none. */
  readonly referer: string;
  readonly userAgent: string;
}

export interface AccessLog {
  write(entry: AccessEntry): void;
}

/** The only one that is spoken. */
const protocol = "HTTP/1.1";
/** Together below the bound of a line, with escapes of four characters each. */
const uriCharactersMax = 2_048;
const headerCharactersMax = 768;
const nameCharactersMax = 256;

export function createAccessLog(writer: Pick<LineWriter, "write">): AccessLog {
  return {
    write(entry) {
      writer.write(formatCombined(entry));
    },
  };
}

/** For `log.accesslog.disabled`. */
export const silentAccessLog: AccessLog = { write: () => {} };

/** `host - user [02/Jan/2006:15:04:05 +0000] "GET /v2/ HTTP/1.1" 200 2 "referer" "agent"\n` */
export function formatCombined(entry: AccessEntry): string {
  const address = entry.remoteAddress === "" ? "-" : word(entry.remoteAddress);
  const user = entry.user === undefined || entry.user === "" ? "-" : word(entry.user);
  const uri = quotable(maskQuery(entry.uri), uriCharactersMax);
  const request = `${quotable(entry.method, nameCharactersMax)} ${uri} ${protocol}`;
  const referer = quotable(maskQuery(entry.referer), headerCharactersMax);
  const agent = quotable(entry.userAgent, headerCharactersMax);
  const time = timeText(entry.timeMs);
  return `${address} - ${user} [${time}] "${request}" ${entry.status} ${entry.writtenBytes} "${referer}" "${agent}"\n`;
}

function quotable(text: string, charactersMax: number): string {
  return escapeText(text.length > charactersMax ? clip(text, charactersMax) : text);
}

const plainWord = /^[\w.:@%+/=~-]*$/;

/** Outside quotes a space would begin the next column. */
function word(text: string): string {
  if (text.length <= nameCharactersMax && plainWord.test(text)) return text;
  return escapeText(clip(text, nameCharactersMax)).replaceAll(" ", "\\x20");
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

let lastSecond = Number.NaN;
let lastTimeText = "";

/** Many requests share a second. */
function timeText(timeMs: number): string {
  const second = Math.floor(timeMs / 1_000);
  if (second === lastSecond) return lastTimeText;
  // "2006-01-02T15:04:05"
  const iso = new Date(second * 1_000).toISOString();
  const month = months[Number(iso.slice(5, 7)) - 1] ?? "";
  lastSecond = second;
  lastTimeText = `${iso.slice(8, 10)}/${month}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
  return lastTimeText;
}
