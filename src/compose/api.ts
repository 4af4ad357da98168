// Puts the API together with the root that it shows: what it asks of the collector and of verify, in the
// words of both sides.
import packageJson from "../../package.json" with { type: "json" };
import { logTo, type OpenRoot } from "./root.ts";
import { verifyRoot } from "./verify.ts";
import type { Config } from "../config/index.ts";
import { CollectionRequests, type CollectOptions } from "../gc/index.ts";
import type {
  ApiParts,
  CollectionControl,
  CollectionRequest,
  VerificationControl,
} from "../http/index.ts";
import type { Logger } from "../observability/index.ts";
import { Inspection } from "../registry/inspection.ts";
import { systemClock } from "../registry/ports/clock.ts";
import { RetentionRequests } from "../retention/index.ts";
import { VerifyRequests } from "../takeover/verify-requests.ts";

export class ApiServices {
  readonly parts: ApiParts;
  readonly #collections: CollectionRequests;
  readonly #retention: RetentionRequests;
  readonly #verifications: VerifyRequests | null;

  constructor(root: OpenRoot, config: Config, logger: Logger) {
    const { agreement, collector, index, services, storage, tree } = root;
    const log = logTo(logger);
    this.#collections = new CollectionRequests({
      collector,
      agreed: (signal) => agreement.wait(signal),
      log,
    });
    this.#verifications = tree === null ? null : verifyRequests({ ...root, tree }, log);
    this.#retention = new RetentionRequests({
      retention: root.retention,
      get rules() {
        return config.retention;
      },
      clock: systemClock,
      agreed: (signal) => agreement.wait(signal),
      log,
    });
    this.parts = {
      version: packageJson.version,
      driver: config.storage.driver.kind,
      rootDirectory: tree?.rootDirectory ?? null,
      inspection: new Inspection({ index, storage, registry: services }),
      deletions: services.deletions,
      restores: services.restores,
      usage: root.usage,
      retention: this.#retention,
      totals: () => index.totals(),
      listRuns: (page) => index.listRuns(page),
      isAgreed: () => agreement.isAgreed,
      collection: collectionControl(this.#collections, root, config),
      verification: this.#verifications === null ? null : verifyControl(this.#verifications),
    };
  }

  /** Ends a run of retention that was asked for under other rules. */
  rulesChanged(): void {
    this.#retention.stopRun(new Error("the rules have changed; ask again"));
  }

  /** Ends what was asked for over the API. */
  async stop(): Promise<void> {
    await this.#collections.stop();
    await this.#verifications?.stop();
    await this.#retention.stop();
  }
}

function collectionControl(
  requests: CollectionRequests,
  { collector }: OpenRoot,
  config: Config,
): CollectionControl {
  const { monitor } = collector;
  return {
    current: () => monitor.current,
    last: () => monitor.last,
    changes: () => monitor.changes + requests.changes,
    isAsked: () => requests.isAsked,
    start: (request) => requests.start(collectOptions(request, config)),
    stop: () => requests.stopRun(),
  };
}

function collectOptions(request: CollectionRequest, { gc }: Config): CollectOptions {
  const { dryRun, untagged, full, graceMs, keepDeletedMs, user } = request;
  return {
    dryRun,
    untagged,
    full,
    foreignGraceMs: graceMs ?? gc.graceMs,
    keepDeletedMs: keepDeletedMs ?? gc.keepDeletedMs,
    askedBy: { kind: "api", user },
    listing: "nothing",
  };
}

type Log = ReturnType<typeof logTo>;

function verifyRequests(
  root: OpenRoot & { readonly tree: NonNullable<OpenRoot["tree"]> },
  log: Log,
): VerifyRequests {
  return new VerifyRequests({
    clock: systemClock,
    log,
    verify: async (request, asker) => {
      await root.agreement.wait(asker.signal);
      return await verifyRoot({ ...root, clock: systemClock, isAlone: false }, request, asker);
    },
  });
}

function verifyControl(requests: VerifyRequests): VerificationControl {
  return {
    current: () => requests.current,
    last: () => requests.last,
    start: (request) => requests.start(request),
    stop: () => requests.stopRun(),
  };
}
