// A feed of events for readers that are slow, go away, or come late.
import { expect, test } from "bun:test";
import { EventFeed } from "./event-feed.ts";

const may = (): Promise<boolean> => Promise.resolve(true);

function feedOf(): { feed: EventFeed; change: (status: string, ends?: boolean) => void } {
  let changes = 0;
  let status = "first";
  let ending: object | null = null;
  const feed = new EventFeed({
    changes: () => changes,
    ending: () => ending,
    status: () => ({ status }),
  });
  const change = (next: string, ends = false): void => {
    changes += 1;
    status = next;
    if (ends) ending = {};
  };
  return { feed, change };
}

function readerOf(feed: EventFeed): () => Promise<string> {
  const { body } = feed.listen(may);
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  return async () => {
    const { done, value } = await reader.read();
    return done ? "over" : new TextDecoder().decode(value).trim().replace("\n", " ");
  };
}

test("who reads slowly hears what was first and what is now, and not all in between", async () => {
  const { feed, change } = feedOf();
  const read = readerOf(feed);
  for (const status of ["second", "third", "fourth"]) {
    change(status);
    await Bun.sleep(300);
  }
  expect(await read()).toBe('event: status data: {"status":"first"}');
  expect(await read()).toBe('event: status data: {"status":"fourth"}');
  // A run that begins and ends between two looks is told of, too.
  change("fifth", true);
  expect(await read()).toBe('event: ended data: {"status":"fifth"}');
  feed.close();
  expect(await read()).toBe("over");
});

test("who goes away is forgotten, and there are no more than a hundred", async () => {
  const { feed } = feedOf();
  const streams = Array.from({ length: 100 }, () => feed.listen(may).body as ReadableStream);
  expect(() => feed.listen(may)).toThrow("100 streams");
  for (const stream of streams.slice(1)) await stream.cancel();
  expect(feed.listeners).toBe(1);
  readerOf(feed);
  expect(feed.listeners).toBe(2);
  feed.close();
  expect(feed.listeners).toBe(0);
  expect(() => feed.listen(may)).toThrow();
});

test("who may listen no longer hears that it is over, and the others go on", async () => {
  const source = { changes: () => 0, ending: () => null, status: () => ({}) };
  const feed = new EventFeed(source, { judgedEveryMs: 1 });
  let isAllowed = true;
  const { body } = feed.listen(() => Promise.resolve(isAllowed));
  const other = feed.listen(may);
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  expect((await reader.read()).done).toBe(false);
  await Bun.sleep(600);
  expect(feed.listeners).toBe(2);
  isAllowed = false;
  expect((await reader.read()).done).toBe(true);
  expect(feed.listeners).toBe(1);
  expect(other.status).toBe(200);
  feed.close();
});
