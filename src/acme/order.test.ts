// What becomes of an order that a CA refuses, or that cannot be placed: a reason that an operator can use.
import { afterAll, expect, test } from "bun:test";
import { placeOrder } from "./order.ts";

const handlers = { keepAccountKey: () => Promise.resolve(), challenge: () => undefined };

/** A CA that refuses every order. */
const ca = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: ({ url, method }) => {
    const { pathname, origin } = new URL(url);
    const headers = { "Replay-Nonce": "nonce", Location: `${origin}/account` };
    if (method === "HEAD") return new Response(null, { headers });
    switch (pathname) {
      case "/directory":
        return Response.json({
          newNonce: `${origin}/nonce`,
          newAccount: `${origin}/account`,
          newOrder: `${origin}/order`,
        });
      case "/account":
        return Response.json({ status: "valid" }, { status: 201, headers });
      default: {
        const problem = { type: "urn:ietf:params:acme:error:rateLimited", detail: "too many" };
        return Response.json(problem, {
          status: 429,
          headers: { ...headers, "Retry-After": "86400" },
        });
      }
    }
  },
});
afterAll(() => ca.stop(true));

async function refusal(accountKey: string | null): Promise<unknown> {
  const order = { directoryUrl: `${ca.url.href}directory`, email: "", hosts: ["r.example.com"] };
  const placed = placeOrder({ ...order, accountKey }, handlers, new AbortController().signal);
  return await placed.catch((error: unknown) => error);
}

test("what a CA says that wants to be left alone for a day is told at once", async () => {
  expect(await refusal(null)).toEqual(new Error("too many"));
});

test("an account's key that is damaged is named, with what to do about it", async () => {
  expect(await refusal("damaged")).toEqual(
    new Error(
      "acme_account+key in the directory of cachefile is no key; without that file another account is made",
    ),
  );
});
