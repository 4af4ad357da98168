// Somebody who is notified: takes events, late or not at all, and keeps them.

export interface Received {
  readonly id: string;
  readonly timestamp: string;
  readonly action: string;
  readonly target: Readonly<Record<string, string | number | undefined>>;
  readonly request: Readonly<Record<string, string>>;
  readonly actor: { readonly name?: string };
  readonly collection?: Readonly<Record<string, unknown>>;
  readonly retention?: Readonly<Record<string, unknown>>;
  readonly source: { readonly addr: string; readonly instanceID: string };
}

export class Endpoint implements AsyncDisposable {
  readonly events: Received[] = [];
  readonly types = new Set<string | null>();
  readonly port: number;
  /** How long it takes over an answer; null: it refuses. */
  delayMs: number | null = 0;
  readonly #server: Bun.Server<undefined>;

  constructor(port = 0) {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port,
      fetch: async (request) => {
        if (this.delayMs === null) return new Response("", { status: 500 });
        if (this.delayMs > 0) await Bun.sleep(this.delayMs);
        const { events } = (await request.json()) as { events: Received[] };
        this.types.add(request.headers.get("content-type"));
        this.events.push(...events);
        return new Response("");
      },
    });
    this.port = this.#server.port ?? 0;
  }

  async until(count: number): Promise<Received[]> {
    const giveUpMs = Date.now() + 20_000;
    while (this.events.length < count) {
      if (Date.now() > giveUpMs) throw new Error(`only ${this.events.length} of ${count} came`);
      await Bun.sleep(20);
    }
    return this.events;
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
