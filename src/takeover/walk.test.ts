import { describe, expect, test } from "bun:test";
import type { TreeProblem } from "../registry/ports/index.ts";
import { digestOf } from "../oci/index.ts";
import { blobDataPath, blobsRoot, repositoriesRoot } from "../storage/layout.ts";
import type { WalkOptions } from "./problems.ts";
import type { TreeEntry, TreeReader } from "./tree-reader.ts";
import { walkBlobsRoot, walkShard } from "./walk-blobs.ts";
import { findRepositories } from "./walk-names.ts";
import { walkRepository } from "./walk-repository.ts";

/** A tree of names in memory, where some paths cannot be looked at. */
class BrokenReader implements TreeReader {
  constructor(
    readonly files: Readonly<Record<string, string>>,
    readonly broken: ReadonlySet<string>,
  ) {}

  names(path: string): readonly string[] | null {
    this.#check(path);
    const below = Object.keys(this.files).filter((file) => file.startsWith(`${path}/`));
    const names = below.map((file) => file.slice(path.length + 1).split("/")[0] ?? "");
    return below.length === 0 ? null : [...new Set(names)];
  }

  entries(path: string): readonly TreeEntry[] | null {
    const entry = (name: string): TreeEntry => {
      const isDirectory = !(`${path}/${name}` in this.files);
      return { name, isUtf8: true, isSymbolicLink: false, isDirectory };
    };
    return this.names(path)?.map(entry) ?? null;
  }

  stat(path: string): ReturnType<TreeReader["stat"]> {
    this.#check(path);
    const text = this.files[path];
    if (text === undefined) return null;
    return { isFile: true, isDirectory: false, sizeBytes: text.length, modifiedMs: 0 };
  }

  identity(path: string): string | null {
    return path;
  }

  isAlias(): boolean {
    return false;
  }

  text(path: string): string | null {
    this.#check(path);
    return this.files[path] ?? null;
  }

  bytes(): null {
    return null;
  }

  // oxlint-disable-next-line require-yield -- there are no pieces
  *pieces(): Generator<Uint8Array, boolean> {
    return false;
  }

  #check(path: string): void {
    for (const broken of this.broken) {
      if (path !== broken && !path.startsWith(`${broken}/`)) continue;
      throw Object.assign(new Error("permission denied"), { code: "EACCES" });
    }
  }
}

function walking(files: Record<string, string>, ...broken: string[]): WalkOptions {
  const reader = new BrokenReader(files, new Set(broken));
  return { reader, nowMs: 0, settledBeforeMs: null, thorough: false };
}

function problemsOf(items: Iterable<{ kind: string; problem?: TreeProblem }>): string[] {
  return [...items].flatMap(({ problem }) =>
    problem === undefined ? [] : [`${problem.kind} ${problem.path}`],
  );
}

const digest = digestOf(Buffer.from("x"));
const hex = digest.slice(7);
const shard = { algorithm: "sha256", prefix: hex.slice(0, 2) } as const;
const app = `${repositoriesRoot}/app`;
const files = {
  [`${app}/_layers/sha256/${hex}/link`]: digest,
  [`${app}/_manifests/revisions/sha256/${hex}/link`]: digest,
  [`${app}/_manifests/tags/v1/current/link`]: digest,
  [blobDataPath(digest)]: "x",
};

describe("INV-7: what cannot be looked at (EACCES, EIO)", () => {
  test.each([repositoriesRoot, app])("a directory of names: %s", (path) => {
    expect(problemsOf(findRepositories(walking(files, path)))).toEqual([
      `unlistable-directory ${path}`,
    ]);
  });

  test.each([
    `${app}/_layers`,
    `${app}/_layers/sha256`,
    `${app}/_manifests/revisions`,
    `${app}/_manifests/revisions/sha256/${hex}`,
    `${app}/_manifests/tags`,
    `${app}/_manifests/tags/v1/current`,
  ])("a directory of links: %s", (path) => {
    const options = walking(files, path);
    const [repository] = [...findRepositories(options)].filter(({ kind }) => kind === "repository");
    if (repository?.kind !== "repository") throw new Error("no repository was found");
    expect(problemsOf(walkRepository(options, repository))).toContain(
      `unlistable-directory ${path}`,
    );
  });

  test("the link of a layer stands all the same", () => {
    const path = `${app}/_layers/sha256/${hex}/link`;
    const options = walking(files, path);
    const [repository] = [...findRepositories(options)];
    if (repository?.kind !== "repository") throw new Error("no repository was found");
    const items = [...walkRepository(options, repository)];
    expect(problemsOf(items)).toContain(`bad-link ${path}`);
    expect(items).toContainEqual({ kind: "layer", digest });
  });

  test.each([`${blobsRoot}/sha256/${shard.prefix}`, blobDataPath(digest)])("blobs: %s", (path) => {
    const problems = problemsOf(walkShard(walking(files, path), shard));
    expect(problems.some((problem) => problem.startsWith("unlistable-directory"))).toBe(true);
  });

  test("the root of the blobs: then no shard counts as gone", () => {
    const items = walkBlobsRoot(walking(files, blobsRoot));
    expect(items.next().value).toMatchObject({ kind: "problem" });
    expect(items.next()).toEqual({ done: true, value: false });
  });
});
