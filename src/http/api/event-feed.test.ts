// A feed of events for readers that are slow, go away, or come late.
import { expect, test } from "bun:test";
import { EventFeed } from "./event-feed.ts";

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
  const { body } = feed.listen();
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
  const streams = Array.from({ length: 100 }, () => feed.listen().body as ReadableStream);
  expect(() => feed.listen()).toThrow("100 streams");
  for (const stream of streams.slice(1)) await stream.cancel();
  expect(feed.listeners).toBe(1);
  readerOf(feed);
  expect(feed.listeners).toBe(2);
  feed.close();
  expect(feed.listeners).toBe(0);
  expect(() => feed.listen()).toThrow();
});
