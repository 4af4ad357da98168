// Sends a registry what the grammar, the mutations and the wreckage make, over a few connections at once,
// and holds every answer against the oracle. Stops at the first violation, and says what led to it.
import { type ApiOperation, apiShot, eventsShot, operationsOf, tokenShot } from "./api-shots.ts";
import { type Asked, encode, isPlain, shown, withHeaders } from "./asked.ts";
import { Chance } from "./chance.ts";
import { digestOf, types } from "./manifests.ts";
import { mutated } from "./mutate.ts";
import { checkAnswer, Violation } from "./oracle.ts";
import { Session, type Shot } from "./session.ts";
import { type Target, userNames } from "./targets.ts";
import { plainRequest, type Player, rightShot } from "./valid.ts";
import { type Answer, Connection, Malformed } from "./wire.ts";
import { wrecked } from "./wreck.ts";

const lanes = 12;
/** Far more than any answer takes. */
const answerMsMax = 30_000;
/** Wreckage that gets no answer in this time gets none. */
const wreckMsMax = 40;
const pipelinedMax = 6;
const keptEvery = 150;

export interface Kept {
  readonly repository: string;
  readonly manifest: Buffer;
  readonly blobs: readonly Uint8Array[];
}

/** It is over when there were so many, and the time has come. */
export interface Budget {
  readonly requests: number;
  /** By performance.now(); 0 for as soon as there were so many. */
  readonly notBeforeMs: number;
}

export interface Outcome {
  requests: number;
  /** Of those, right or mutated so that the registry must answer itself. */
  plain: number;
  readonly statuses: Map<number, number>;
  /** What was acknowledged and must be there. */
  readonly kept: Kept[];
}

export async function drive(target: Target, seed: number, budget: Budget): Promise<Outcome> {
  const outcome: Outcome = { requests: 0, plain: 0, statuses: new Map(), kept: [] };
  const { prefix } = target.rules;
  const { keeper, login } = target;
  const admin = keeper === null ? null : (login(new Chance(seed), new Session()) ?? null);
  const described = await fetch(`${target.server.url}${prefix}/api/v1/openapi.json`, {
    headers: admin === null ? {} : { Authorization: admin },
  });
  if (described.status !== 200) throw new Error(`openapi.json: ${described.status}`);
  const shared: Shared = {
    target,
    budget,
    outcome,
    operations: operationsOf(await described.text()),
    isStopped: false,
  };
  await Promise.all(
    Array.from({ length: lanes }, (_, n) => new Lane(shared, n, seed + n * 7_919).run()),
  );
  return outcome;
}

interface Shared {
  readonly target: Target;
  readonly budget: Budget;
  readonly outcome: Outcome;
  readonly operations: readonly ApiOperation[];
  isStopped: boolean;
}

class Lane {
  readonly #shared: Shared;
  readonly #number: number;
  readonly #player: Player;
  readonly #recent: string[] = [];
  #connection: Connection | null = null;
  #turns = 0;

  constructor(shared: Shared, number: number, seed: number) {
    this.#shared = shared;
    this.#number = number;
    const { prefix } = shared.target.rules;
    this.#player = { chance: new Chance(seed), session: new Session(), prefix };
  }

  async run(): Promise<void> {
    const { budget, outcome } = this.#shared;
    const isOver = (): boolean =>
      this.#shared.isStopped ||
      (outcome.requests >= budget.requests && performance.now() >= budget.notBeforeMs);
    try {
      while (!isOver()) await this.#turn();
    } catch (error) {
      this.#shared.isStopped = true;
      const sent = this.#recent.map((one) => `  ${one}`).join("\n");
      throw new Violation(`${String(error)}\nlast sent on this connection:\n${sent}`, {
        cause: error,
      });
    } finally {
      this.#connection?.destroy();
    }
  }

  async #turn(): Promise<void> {
    const { chance } = this.#player;
    this.#turns += 1;
    if (this.#turns % keptEvery === 1 && !this.#shared.target.rules.isReadOnly) {
      return await this.#keepSomething();
    }
    await chance.weighted<() => Promise<unknown>>([
      [38, () => this.#exchange(this.#right())],
      [42, () => this.#exchange(this.#mutated())],
      [12, () => this.#wreck()],
      [6, () => this.#pipeline()],
      [1, () => this.#leave()],
    ])();
  }

  #right(): Shot {
    const { chance, session } = this.#player;
    const shot = chance.weighted<() => Shot>([
      [80, () => rightShot(this.#player)],
      [16, () => apiShot(this.#player, this.#shared.operations)],
      [4, () => tokenShot(this.#player)],
    ])();
    const login = this.#shared.target.login(chance, session);
    const { asked } = shot;
    if (login === null) return { ...shot, asked: { ...asked, credentials: "right" } };
    const signed = withHeaders(asked, ["Authorization", login]);
    return { ...shot, asked: { ...signed, credentials: "right" } };
  }

  #mutated(): Shot {
    const { asked } = this.#right();
    return { asked: mutated(this.#player.chance, asked, userNames) };
  }

  async #exchange({ asked, heard }: Shot): Promise<Answer | null> {
    if (!isPlain(asked)) {
      await this.#throwAway(asked, [encode(asked)], false);
      return null;
    }
    const bytes = encode(asked);
    for (const isAgain of [false, true]) {
      const connection = await this.#connected();
      if (!isAgain) this.#note(bytes);
      connection.send(bytes);
      const answer = await connection.answer(asked.method, answerMsMax);
      if (typeof answer !== "string") {
        this.#take(asked, answer);
        heard?.(answer);
        return answer;
      }
      this.#drop();
      // A connection that waited may have been closed in between, as in any client's life.
      if (answer === "silent" || isAgain) throw new Violation(`no answer: ${answer}`);
    }
    return null;
  }

  /** Several in one write; as many answers, in order. */
  async #pipeline(): Promise<void> {
    const { chance } = this.#player;
    const count = 2 + chance.below(pipelinedMax - 1);
    const asked = Array.from({ length: count }, () => this.#right().asked).filter(isPlain);
    const connection = await this.#connected();
    const bytes = Buffer.concat(asked.map(encode));
    this.#note(bytes);
    connection.send(bytes);
    for (const one of asked) {
      const answer = await connection.answer(one.method, answerMsMax);
      if (answer === "silent") throw new Violation("no answer to a pipelined request");
      // Closed: after an answer that says so, such as to a body that was not read.
      if (answer === "closed") return this.#drop();
      this.#take(one, answer);
    }
  }

  async #wreck(): Promise<void> {
    const { asked } = this.#player.chance.percent(60) ? this.#right() : this.#mutated();
    const { writes, isHalfClosed } = wrecked(this.#player.chance, asked);
    await this.#throwAway({ ...asked, headers: [] }, writes, isHalfClosed);
  }

  /** Goes away in the middle of an answer, or of a stream of events. */
  async #leave(): Promise<void> {
    const { chance } = this.#player;
    const shot = chance.percent(50) ? eventsShot(this.#player) : this.#right();
    const connection = await this.#fresh();
    this.#note(encode(shot.asked));
    connection.send(encode(shot.asked));
    this.#shared.outcome.requests += 1;
    await Bun.sleep(chance.below(10));
    connection.destroy();
  }

  /** On a connection of its own, whose answers, if any, must still be well-formed. */
  async #throwAway(asked: Asked, writes: readonly Uint8Array[], isHalfClosed: boolean) {
    const connection = await this.#fresh();
    try {
      for (const [n, bytes] of writes.entries()) {
        this.#note(bytes);
        if (n > 0) await Bun.sleep(1);
        connection.send(bytes);
      }
      if (isHalfClosed) connection.halfClose();
      this.#shared.outcome.requests += 1;
      for (;;) {
        const method = methodOf(writes);
        const answer = await connection.answer(method, wreckMsMax);
        if (typeof answer === "string") break;
        // What exactly was asked is the registry's to say, so only what holds for all is looked at.
        this.#count(answer);
        checkAnswer(
          { ...this.#shared.target.rules, isGuarded: false },
          wild(asked, method),
          answer,
        );
        if (isEndless(answer)) break;
      }
    } catch (error) {
      if (!(error instanceof Malformed) || !mayBeMisread(writes)) throw error;
    } finally {
      connection.destroy();
    }
  }

  /** An image of its own repository, which nothing that is made up ever names. */
  async #keepSomething(): Promise<void> {
    const { chance } = this.#player;
    const repository = `keep/${this.#number}`;
    const blobs = [Buffer.from(`shared ${chance.below(30)}`), chance.bytes(chance.size(20_000))];
    const base = `${this.#player.prefix}/v2/${repository}`;
    for (const blob of blobs) {
      const target = `${base}/blobs/uploads/?digest=${digestOf(blob)}`;
      if ((await this.#asKeeper("POST", target, blob))?.status !== 201) return;
    }
    const [config, layer] = blobs.map((blob) => {
      return { mediaType: types.layer, digest: digestOf(blob), size: blob.length };
    });
    const value = { schemaVersion: 2, mediaType: types.manifest, config, layers: [layer] };
    const manifest = Buffer.from(JSON.stringify(value));
    // By tag, so that no policy lets it go.
    const target = `${base}/manifests/kept-${digestOf(manifest).slice(7, 27)}`;
    const answer = await this.#asKeeper("PUT", target, manifest);
    if (answer?.status === 201) this.#shared.outcome.kept.push({ repository, manifest, blobs });
  }

  async #asKeeper(method: string, target: string, body: Uint8Array): Promise<Answer | null> {
    const { keeper } = this.#shared.target;
    const asked: Asked = { ...plainRequest(method, target, body), credentials: "right" };
    const typed = withHeaders(asked, ["Content-Type", types.manifest]);
    const signed = keeper === null ? typed : withHeaders(typed, ["Authorization", keeper]);
    return await this.#exchange({ asked: signed });
  }

  #take(asked: Asked, answer: Answer): void {
    this.#shared.outcome.plain += 1;
    this.#shared.outcome.requests += 1;
    this.#count(answer);
    checkAnswer(this.#shared.target.rules, asked, answer);
    this.#player.session.learn(answer);
    if (answer.headers.get("connection")?.toLowerCase() === "close") this.#drop();
  }

  #count({ status }: Answer): void {
    const { statuses } = this.#shared.outcome;
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }

  async #connected(): Promise<Connection> {
    if (this.#connection?.isClosed === false) {
      if (this.#connection.leftBytes === 0) return this.#connection;
      throw new Violation("bytes behind an answer");
    }
    this.#connection = await this.#fresh();
    return this.#connection;
  }

  async #fresh(): Promise<Connection> {
    try {
      return await Connection.open(this.#shared.target.port);
    } catch (cause) {
      throw new Violation("the registry takes no connections any more", { cause });
    }
  }

  #drop(): void {
    this.#connection?.destroy();
    this.#connection = null;
  }

  #note(bytes: Uint8Array): void {
    this.#recent.push(shown(bytes));
    if (this.#recent.length > 8) this.#recent.shift();
  }
}

function methodOf([first]: readonly Uint8Array[]): string {
  return Buffer.from(first ?? []).toString("latin1", 0, 5) === "HEAD " ? "HEAD" : "GET";
}

/** Never plain, so that the runtime may answer. */
function wild(asked: Asked, method: string): Asked {
  return { ...asked, method, target: "", credentials: "right" };
}

/** Events come as long as one listens. */
function isEndless({ headers }: Answer): boolean {
  return headers.get("content-type")?.startsWith("text/event-stream") === true;
}

/** With several requests in it, or a HEAD that is none, nobody knows whose answer has a body. */
function mayBeMisread(writes: readonly Uint8Array[]): boolean {
  return Buffer.concat(writes.map((bytes) => Buffer.from(bytes))).includes("HEAD");
}
