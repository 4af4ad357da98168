// Reads the file and the environment into a Config, or throws one error that lists every problem
// with its key, its value, what was expected and where it was written. Prints nothing itself.
import { readFileSync } from "node:fs";
import type { z } from "zod";
import type { Config } from "./config.ts";
import { applyEnvironment } from "./environment.ts";
import type { AppliedVariable, Environment, VariableNote } from "./environment.ts";
import { describeProblem, maskedText, unknownKeyText } from "./problem-text.ts";
import { describeSource, dotted, emptyMap, isRawMap, rawAt } from "./raw-tree.ts";
import type { RawMap, RawPath, RawValue, Sources } from "./raw-tree.ts";
import { configSchema } from "./schema.ts";
import type { IssueHints } from "./value-schemas.ts";
import { parseYamlTree } from "./yaml-tree.ts";

export interface LoadOptions {
  readonly path: string;
  readonly env: Environment;
  /** Reads the file as UTF-8; throws as node:fs does. */
  readonly readFile?: (path: string) => string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Whole sentences, each with its place. */
  readonly warnings: readonly string[];
  readonly path: string;
}

/** `message` is what the operator reads; `problems` the same, one each. */
export class ConfigError extends Error {
  constructor(
    message: string,
    readonly problems: readonly string[],
    options: { readonly cause?: unknown; readonly warnings?: readonly string[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ConfigError";
    this.warnings = options.warnings ?? [];
  }
  /** What would have been warned about, had the configuration been usable. */
  readonly warnings: readonly string[];
}

/** @throws ConfigError */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const text = readText(options);
  const file = parseYamlTree(text);
  const { sources } = file;
  const fileProblems = file.problems.map((note) => `line ${note.line}: ${note.text}`);
  if (fileProblems.length > 0) throw failure(options.path, fileProblems, []);
  if (file.tree !== undefined && !isRawMap(file.tree)) {
    throw failure(options.path, ["line 1: expected keys such as version, storage and http"], []);
  }
  const tree = file.tree ?? emptyMap();
  const environment = applyEnvironment(tree, sources, options.env);
  const reading = readTree(tree, sources, environment.applied);
  const warnings = [
    ...file.warnings.map((note) => `line ${note.line}: ${note.text}`),
    ...environment.warnings.map(variableText),
    ...reading.warnings,
  ];
  const refused = environment.problems.filter((note) => !reading.ignored.has(note.variable));
  const problems = [...refused.map(variableText), ...reading.problems];
  if (reading.config === null || problems.length > 0) {
    throw failure(options.path, problems, warnings);
  }
  return { config: reading.config, warnings, path: options.path };
}

function readText(options: LoadOptions): string {
  try {
    return options.readFile?.(options.path) ?? readFileSync(options.path, "utf8");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `configuration error: cannot read ${options.path}: ${reason}`;
    throw new ConfigError(message, [reason], { cause });
  }
}

function failure(path: string, problems: readonly string[], warnings: readonly string[]) {
  const lines = problems.map((problem) => `\n  ${problem}`).join("");
  return new ConfigError(`configuration error in ${path}:${lines}`, problems, { warnings });
}

function variableText(note: VariableNote): string {
  return `${note.variable}: ${note.text}`;
}

interface Reading {
  readonly config: Config | null;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** Variables that name unknown keys. */
  readonly ignored: ReadonlySet<string>;
}

/** A heal can uncover another one, never more than there are values; this only stops a mistake of ours. */
const roundsMax = 1_000;

/**
 * Reads until nothing is left to heal: unknown keys are taken out and values that only deserve a
 * warning are replaced, each with its warning. Changes the tree.
 */
function readTree(tree: RawMap, sources: Sources, applied: readonly AppliedVariable[]): Reading {
  const warnings: string[] = [];
  const ignored = new Set<string>();
  for (let round = 0; round < roundsMax; round++) {
    const result = configSchema.safeParse(tree);
    if (result.success) return { config: result.data, problems: [], warnings, ignored };
    const unknown = result.error.issues.flatMap(unknownPaths);
    const healing = result.error.issues.filter((issue) => hintsOf(issue).heal !== undefined);
    if (unknown.length === 0 && healing.length === 0) {
      const problems = result.error.issues.map((issue) => describeIssue(issue, tree, sources));
      return { config: null, problems, warnings, ignored };
    }
    for (const path of unknown) {
      const variables = applied.filter((variable) => startsWith(variable.path, path));
      for (const { name } of variables) {
        ignored.add(name);
        warnings.push(`${name}: matches no key of the configuration and is ignored`);
      }
      if (sources.find(path)?.kind === "line") {
        warnings.push(`${place(sources, path)}${unknownKeyText(tree, path)}`);
      }
    }
    for (const path of unknown) removeAt(tree, path);
    for (const issue of healing) warnings.push(heal(issue, tree, sources));
  }
  throw new Error("reading the configuration does not come to an end");
}

function hintsOf(issue: z.core.$ZodIssue): IssueHints {
  return issue.code === "custom" ? ((issue.params ?? {}) as IssueHints) : {};
}

function unknownPaths(issue: z.core.$ZodIssue): RawPath[] {
  return issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [];
}

function heal(issue: z.core.$ZodIssue, tree: RawMap, sources: Sources): string {
  const hint = hintsOf(issue).heal;
  const shown = maskedText(issue.path, rawAt(tree, issue.path));
  const key = issue.path.at(-1);
  const holder = rawAt(tree, issue.path.slice(0, -1));
  if (Array.isArray(holder)) holder[Number(key)] = hint?.readAs;
  else if (isRawMap(holder)) holder[String(key)] = hint?.readAs;
  return `${place(sources, issue.path)}${dotted(issue.path)}: ${shown} ${hint?.warning ?? ""}`;
}

function removeAt(tree: RawMap, path: RawPath): void {
  const holder: RawValue = rawAt(tree, path.slice(0, -1));
  if (isRawMap(holder)) delete holder[String(path.at(-1))];
}

function startsWith(path: RawPath, start: RawPath): boolean {
  return start.every((key, at) => String(path[at]) === String(key));
}

function describeIssue(issue: z.core.$ZodIssue, tree: RawMap, sources: Sources): string {
  const sentence = hintsOf(issue).sentence === true;
  return place(sources, issue.path) + describeProblem(issue, { tree, sentence });
}

function place(sources: Sources, path: RawPath): string {
  const text = describeSource(sources.find(path));
  return text === "" ? "" : `${text}: `;
}
