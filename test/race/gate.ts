// Stops a collection at a named call of a port, so that a test can act just then. No sleeps.

export interface Gate {
  /** Resolves when the collection has come to the call. */
  readonly reached: Promise<void>;
  open(): void;
}

/** Where a collection is stopped: `before condemn`, `after remove`. The first such call only. */
export type Place = `${"before" | "after"} ${string}`;

export class Gates {
  #armed: { place: Place; reach: () => void; opened: Promise<void> } | null = null;

  arm(place: Place): Gate {
    const reached = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<void>();
    this.#armed = { place, reach: reached.resolve, opened: opened.promise };
    return { reached: reached.promise, open: opened.resolve };
  }

  /** The port, with every call of it passing the gate. */
  wrap<Port extends object>(port: Port): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return async (...args: unknown[]): Promise<unknown> => {
          await this.#pass(`before ${String(name)}`);
          const result: unknown = await method.apply(target, args);
          await this.#pass(`after ${String(name)}`);
          return result;
        };
      },
    });
  }

  async #pass(place: Place): Promise<void> {
    const armed = this.#armed;
    if (armed?.place !== place) return;
    this.#armed = null;
    armed.reach();
    await armed.opened;
  }
}
