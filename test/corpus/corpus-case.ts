// What a case of the corpus says: how a tree that the classic registry wrote is bent, and what must
// become of it. run-case.ts carries it out; the tables are in cases/.
import type { TreeProblem } from "../../src/registry/ports/index.ts";
import type { Tree } from "../takeover/tree.ts";

/**
 * Something that must be reported: the kind, and what the path ends with. Only verify looks into each
 * single file and directory of the layers and blobs.
 */
export type Odd = readonly [kind: TreeProblem["kind"], pathEnd: string, only?: "verify"];

export interface Outcome {
  /** All that is reported, and nothing else. */
  readonly odd?: readonly Odd[];
  /** Bytes that go besides the garbage of the base tree: with `-m`, in the end. */
  readonly goes?: readonly string[];
  /** Garbage of the base tree that stays here; "all" when nothing may go. */
  readonly stays?: readonly string[] | "all";
  /** References that ours must serve, whether or not the classic registry can. */
  readonly pulls?: readonly string[];
  /** References that ours does not serve though the classic registry does. */
  readonly unserved?: readonly string[];
  /** Asked for while it is served: whatever the answer is, it does no harm. */
  readonly visits?: readonly string[];
  /** Blobs that are garbage but cannot be removed: every collection tries, and says so. */
  readonly fails?: readonly string[];
  /** The exit code of `verify --hash` before anything is collected; afterwards it may be better. */
  readonly verify?: 0 | 1;
  /** The exit code of every collection. */
  readonly collect?: 0 | 1;
}

export interface CorpusCase {
  readonly name: string;
  /** Bends the copy, and says what must come of it. */
  bend(tree: Tree): Outcome;
}
