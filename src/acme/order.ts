// The main thread's side of an order: starts the worker that speaks with the CA, does what it asks for, and
// ends it, in the end, after too long, or when told to stop. Never speaks with anybody itself.
import type { TlsCertificate } from "../http/index.ts";
import type { FromOrderWorker, Order, ToOrderWorker } from "./order-messages.ts";

/** The library repeats what a CA did not answer; with all that, an order that takes longer is lost. */
const orderMsMax = 10 * 60_000;

export interface OrderHandlers {
  readonly keepAccountKey: (key: string) => Promise<void>;
  /** From when this returns, whoever asks for the token gets the answer. */
  readonly challenge: (token: string, answer: string) => void;
}

/** @throws Error saying why there is no certificate; the signal's reason */
export function placeOrder(
  order: Order,
  handlers: OrderHandlers,
  signal: AbortSignal,
): Promise<TlsCertificate> {
  return ask({ kind: "order", order }, handlers, signal);
}

/** A certificate of our own, for as long as there is none that anybody vouches for. */
export function makeStandIn(
  hosts: readonly string[],
  signal: AbortSignal,
): Promise<TlsCertificate> {
  const none = { keepAccountKey: () => Promise.resolve(), challenge: () => undefined };
  return ask({ kind: "stand-in", hosts }, none, signal);
}

async function ask(
  job: ToOrderWorker,
  handlers: OrderHandlers,
  signal: AbortSignal,
): Promise<TlsCertificate> {
  signal.throwIfAborted();
  const worker = new Worker(new URL("./order-worker.ts", import.meta.url).href);
  const post = (message: ToOrderWorker): void => {
    worker.postMessage(message);
  };
  const { promise, resolve, reject } = Promise.withResolvers<TlsCertificate>();
  const onAbort = (): void => {
    reject(signal.reason);
  };
  const deadline = setTimeout(() => {
    reject(new Error(`the CA did not come to an end in ${orderMsMax / 60_000} minutes`));
  }, orderMsMax);
  deadline.unref();
  signal.addEventListener("abort", onAbort);
  worker.onerror = (event) => {
    reject(new Error(event.message));
  };
  const receive = async (message: FromOrderWorker): Promise<void> => {
    switch (message.kind) {
      case "account":
        await handlers.keepAccountKey(message.key);
        post({ kind: "taken" });
        return;
      case "challenge":
        handlers.challenge(message.token, message.answer);
        post({ kind: "taken" });
        return;
      case "certificate":
        resolve(message.certificate);
        return;
      case "failed":
        reject(new Error(message.message));
    }
  };
  worker.onmessage = ({ data }: MessageEvent<FromOrderWorker>) => {
    receive(data).catch(reject);
  };
  post(job);
  try {
    return await promise;
  } finally {
    clearTimeout(deadline);
    signal.removeEventListener("abort", onAbort);
    worker.terminate();
  }
}
