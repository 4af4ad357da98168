// What `registry retention` prints for people: repository by repository what goes, by which rule, and what
// keeps the rest; then the sum. Texts only.
import { humanBytes } from "../gc/index.ts";
import type { GoingTag, RepositoryTold, RetentionEvent, RetentionReport } from "./events.ts";
import type { KeptBy } from "./judgement.ts";

const keptTexts: Readonly<Record<KeptBy, string>> = {
  newest: "newest",
  pushedwithin: "pushed lately",
  pulledwithin: "pulled lately",
  matching: "matching",
  norule: "of no rule",
  attachment: "attached to an image that stays",
  protected: "immutable",
  unreadable: "unreadable",
  allowempty: "the last ones",
  notapplied: "of another rule",
};

/** Turns events into lines; holds back a repository's name until something is said of it. */
export class RetentionLines {
  readonly #print: (line: string) => void;
  #repository = "";

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  hear(event: RetentionEvent): void {
    switch (event.kind) {
      case "tag":
        this.#of(event.repository, `  ${tagText(event)}`);
        return;
      case "untagged":
        this.#of(
          event.repository,
          `  ${shortDigest(event.digest)}  untagged since ${day(event.untaggedSinceMs)}  ${event.rule}`,
        );
        return;
      case "kept": {
        const { tag, keptBy, rule, repository } = event;
        this.#of(
          repository,
          `  keep ${tag}  ${keptTexts[keptBy]}${rule === null ? "" : `  ${rule}`}`,
        );
        return;
      }
      case "repository":
        this.#tellRepository(event);
        return;
      case "skipped":
        this.#of(event.repository, `  left alone: ${skipTexts[event.reason]}`);
        return;
      case "summary":
        this.#print("");
        for (const line of summaryLines(event.report)) this.#print(line);
    }
  }

  #of(repository: string, line: string): void {
    if (this.#repository !== repository) {
      this.#repository = repository;
      this.#print(repository);
    }
    this.#print(line);
  }

  #tellRepository({ repository, kept, refused, tags, manifests }: RepositoryTold): void {
    if (refused.length > 0) {
      this.#of(
        repository,
        `  refused: ${refused.join(", ")} would leave no tag here; allowempty: true lets it`,
      );
    }
    if (tags + manifests === 0 && this.#repository !== repository) return;
    const counts = Object.entries(kept).map(
      ([keptBy, count]) => `${count} ${keptTexts[keptBy as KeptBy]}`,
    );
    this.#of(repository, `  stays: ${counts.length === 0 ? "no tag" : counts.join(", ")}`);
  }
}

const skipTexts = {
  unjudgeable:
    "a manifest or tag in it cannot be read, so nothing is removed by policy (see verify)",
  toomanytags: "it has more tags than can be judged at once",
} as const;

function tagText({ tag, digest, rule, pushedAtMs, pulledAtMs, isImageKept }: GoingTag): string {
  const pulled = pulledAtMs === null ? "" : `, pulled ${day(pulledAtMs)}`;
  const kept = isImageKept ? "  (the tag alone: its image is needed)" : "";
  return `${tag}  ${shortDigest(digest)}  pushed ${day(pushedAtMs)}${pulled}  ${rule}${kept}`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** As clients show them. */
function shortDigest(digest: string): string {
  return digest.slice(0, digest.indexOf(":") + 13);
}

function summaryLines(report: RetentionReport): string[] {
  const { applied, tags, manifests, repositories, tagsKept, bytes, atLeast } = report;
  const what = `${counted(tags, "tag")} and ${counted(manifests, "manifest")}`;
  const where = `in ${repositories === 1 ? "1 repository" : `${repositories} repositories`}`;
  const size =
    bytes === null ? "" : `; ${atLeast ? "at least " : ""}${bytes} bytes (${humanBytes(bytes)})`;
  return [
    applied
      ? `removed ${what} ${where}; ${counted(tagsKept, "tag")} stay${size}`
      : `would remove ${what} ${where}; ${counted(tagsKept, "tag")} would stay${size}`,
    ...more(report),
    applied
      ? "the bytes come back with a collection, once nothing of it can be restored any more (gc.keepdeleted); registry garbage-collect gives them back at once"
      : "nothing was removed: registry retention apply does it",
    ...(report.completed ? [] : ["stopped before the end"]),
  ];
}

function more({ changed, leased, refused, skipped }: RetentionReport): string[] {
  return [
    ...(changed > 0 ? [`${counted(changed, "image")} left: pushed or pulled meanwhile`] : []),
    ...(leased > 0 ? [`${counted(leased, "image")} left: a push may be about to refer to it`] : []),
    ...(refused > 0 ? [`in ${refused} of them a rule would have removed every tag: refused`] : []),
    ...(skipped > 0 ? [`${skipped} of them left alone`] : []),
  ];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
