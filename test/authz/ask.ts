// Asks on behalf of a caller, and holds the answer against what it has to be.
import type { Ask } from "./content.ts";
import { type Caller, type Setting, verdict, type Verdict } from "./oracle.ts";
import type { Asked, Sent } from "./requests.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

export interface Around {
  readonly ask: Ask;
  readonly setting: Setting;
  /** How whoever is not known is asked to become so. */
  readonly challenges: { readonly v2: "Basic" | "Bearer"; readonly api: "Basic" | "Bearer" };
}

function sentFor(asked: Asked, wanted: Verdict): Sent {
  return wanted === "in" ? (asked.harmless ?? asked.real) : asked.real;
}

export async function answerTo(ask: Ask, caller: Caller, { path, init }: Sent): Promise<Answer> {
  const headers = new Headers(init.headers);
  if (caller.authorization !== null) headers.set("Authorization", caller.authorization);
  const gone = new AbortController();
  const response = await ask(path, { ...init, headers, signal: gone.signal });
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const body = isStream ? "" : await response.text();
  // A stream of events has no end of its own.
  if (isStream) gone.abort();
  return { status: response.status, headers: response.headers, body };
}

/** Null: the answer is what it has to be. */
export async function wrongIn(
  { ask, setting, challenges }: Around,
  caller: Caller,
  asked: Asked,
): Promise<string | null> {
  const wanted = verdict(setting, caller, asked);
  const sent = sentFor(asked, wanted);
  const answer = await answerTo(ask, caller, sent);
  const problem =
    wanted === "in"
      ? letInWrongly(answer, asked)
      : refusedWrongly(answer, wanted, {
          ...asked,
          scheme: challenges[asked.isApi ? "api" : "v2"],
        });
  if (problem === null) return null;
  return `${caller.name}: ${asked.method} ${sent.path} (${asked.id}): ${problem}; expected ${wanted}; got ${answer.status} ${answer.body.slice(0, 200)}`;
}

function letInWrongly({ status, body }: Answer, { statuses }: Asked): string | null {
  if (status === 401 || body.includes('"DENIED"')) return "refused";
  return statuses.includes(status) ? null : `not ${statuses.join(" or ")}`;
}

function refusedWrongly(
  answer: Answer,
  wanted: Verdict,
  { method, scheme }: Asked & { readonly scheme: string },
): string | null {
  const { status, headers, body } = answer;
  if (String(status) !== wanted) return "let in, or refused otherwise";
  const challenge = headers.get("www-authenticate")?.split(" ", 1)[0] ?? null;
  if (challenge !== (status === 401 ? scheme : null)) return `challenged by ${challenge}`;
  if (headers.has("etag") || headers.has("docker-content-digest") || headers.has("location")) {
    return "a header tells what is there";
  }
  if (method === "HEAD") return body === "" ? null : "a body of HEAD";
  return body.includes(status === 401 ? '"UNAUTHORIZED"' : '"DENIED"') ? null : "another code";
}

/** Work of several at a time, as clients come. */
export async function inParallel<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: 12 }, worker));
}
