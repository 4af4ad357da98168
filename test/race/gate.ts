// Stops whoever uses a port at a named call of it, so that a test can act just then. No sleeps.

export interface Gate {
  /** Resolves when somebody has come to the call. */
  readonly reached: Promise<void>;
  open(): void;
}

/** Where somebody is stopped: `before condemn`, `after remove`. The first such call only. */
export type Place = `${"before" | "after"} ${string}`;

/** Which of the calls is meant, by what they are called with; without it the first of all. */
export type Meant = (args: readonly unknown[]) => boolean;

export class Gates {
  #armed: { place: Place; meant: Meant; reach: () => void; opened: Promise<void> } | null = null;

  arm(place: Place, meant: Meant = () => true): Gate {
    const reached = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<void>();
    this.#armed = { place, meant, reach: reached.resolve, opened: opened.promise };
    return { reached: reached.promise, open: opened.resolve };
  }

  /** The port, with every call of it passing the gate. */
  wrap<Port extends object>(port: Port): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        // Not promises: streams, and listings.
        if (name === "read" || name === "list") return method.bind(target) as unknown;
        return async (...args: unknown[]): Promise<unknown> => {
          await this.#pass(`before ${String(name)}`, args);
          const result: unknown = await method.apply(target, args);
          await this.#pass(`after ${String(name)}`, args);
          return result;
        };
      },
    });
  }

  async #pass(place: Place, args: readonly unknown[]): Promise<void> {
    const armed = this.#armed;
    if (armed?.place !== place || !armed.meant(args)) return;
    this.#armed = null;
    armed.reach();
    await armed.opened;
  }
}
