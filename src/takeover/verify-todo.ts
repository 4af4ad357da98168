// What verify leaves to a person, one line a thing, each once; bounded, however much is wrong.
import type { TreeProblem } from "../registry/ports/index.ts";
import type { Finding, Repair } from "./verify-findings.ts";

const linesMax = 1_000;

export class VerifyTodo {
  readonly #lines = new Set<string>();
  #more = false;

  finding(finding: Finding, repair: Repair | null): void {
    if (repair?.isMended === true) return;
    switch (finding.kind) {
      case "missing-blob":
      case "missing-link":
        this.#push(finding.neededBy);
        break;
      case "wrong-size":
      case "wrong-bytes":
        if (repair === null) {
          this.#add("registry verify --hash --repair, so that altered bytes are not served");
        }
        this.#push(finding.neededBy);
        break;
      case "unreadable-blob":
        this.#add(
          `look at the disk: ${finding.path} cannot be read. If it never can be again, move the file away yourself and push what needs it`,
        );
        break;
      case "difference":
        this.#add("registry verify --repair, so that the index takes the tree's side");
        break;
      case "usage-drift":
        this.#add("registry verify --repair, so that usage is counted again");
        break;
      case "orphan":
        this.#add("registry verify --repair, so that a collection sees the orphans");
        break;
    }
  }

  /** A problem that does harm. */
  problem({ kind, repository, name, path }: TreeProblem): void {
    switch (kind) {
      case "dangling-tag":
        this.#add(`push ${repository}:${name} again, or delete the tag`);
        break;
      case "dangling-revision":
        // Told with the tags that lead to it, as a missing blob.
        break;
      case "unreadable-manifest":
        this.#add(`push ${repository}@${name} again, or delete it`);
        break;
      case "unreadable-tag":
        this.#add(
          `push ${repository}:${name} again, or remove the tag's directory: ${path.replace(/\/current\/link$/, "")}`,
        );
        break;
      case "unlistable-directory":
        this.#add(`mend ${path} (permissions, mount, disk), then registry reindex`);
        break;
      default:
        this.#add(`look at ${path} (${kind})`);
    }
  }

  get lines(): readonly string[] {
    return this.#more
      ? [...this.#lines, "and more: the lines above name everything"]
      : [...this.#lines];
  }

  #push(images: readonly string[]): void {
    for (const image of images) this.#add(`push ${image} again`);
  }

  #add(line: string): void {
    if (this.#lines.size < linesMax) this.#lines.add(line);
    else if (!this.#lines.has(line)) this.#more = true;
  }
}
