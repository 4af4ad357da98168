// Breaks every check of the toolchain in a small project of its own, with our configuration, and sees
// it fail: a check that cannot fail proves nothing. Imports nothing from src.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const repositoryRoot = resolve(import.meta.dir, "..");
const program = (name: string): string => join(repositoryRoot, "node_modules/.bin", name);
const [bun, oxlint, knip] = [program("bun"), program("oxlint"), program("knip")];

const configuration = [
  "package.json",
  "tsconfig.json",
  "bunfig.toml",
  "knip.json",
  ".oxlintrc.json",
  ".gitignore",
  "scripts",
];

/** A project without a fault, so that nothing but the break can make a check fail. */
const faultless: Readonly<Record<string, string>> = {
  "src/main.ts": 'import { answer } from "./cli/answer.ts";\n\nprocess.exitCode = answer;\n',
  "src/cli/answer.ts": "export const answer: number = 0;\n",
};

const functionOf71Lines = `export function long(): void {\n${"  Math.random();\n".repeat(70)}}\n`;
const fileOf401Lines = "export {};\n" + "Math.random();\n".repeat(400);

/** Rule, file, what is in it. */
const lintBreaks: readonly (readonly [rule: string, path: string, source: string])[] = [
  [
    "typescript(no-floating-promises)",
    "src/storage/floating.ts",
    "export function go(): void {\n  Promise.resolve(1);\n}\n",
  ],
  [
    "typescript(no-misused-promises)",
    "src/storage/misused.ts",
    'process.on("exit", async () => {\n  await Promise.resolve();\n});\n',
  ],
  [
    "typescript(await-thenable)",
    "src/storage/thenable.ts",
    "export async function go(): Promise<void> {\n  await 1;\n}\n",
  ],
  ["typescript(no-explicit-any)", "src/oci/any.ts", "export const x: any = 1;\n"],
  [
    "typescript(no-unsafe-assignment)",
    "src/oci/unsafe.ts",
    'export const x: unknown[] = [];\nconst y = JSON.parse("1");\nx.push(y);\n',
  ],
  [
    "typescript(switch-exhaustiveness-check)",
    "src/oci/switch.ts",
    'export function go(x: "a" | "b"): void {\n  switch (x) {\n    case "a":\n  }\n}\n',
  ],
  [
    "typescript(consistent-type-imports)",
    "src/cli/types.ts",
    'import { answer } from "./answer.ts";\n\nexport type Answer = typeof answer;\n',
  ],
  ["import(no-default-export)", "src/oci/default.ts", "export default 1;\n"],
  [
    "import(no-cycle)",
    "src/gc/left.ts",
    'import { right } from "./right.ts";\n\nexport const left: number = right + 1;\n',
  ],
  [
    "import(no-cycle)",
    "src/gc/right.ts",
    'import { left } from "./left.ts";\n\nexport const right: number = left + 1;\n',
  ],
  ["eslint(max-lines)", "src/gc/long.ts", fileOf401Lines],
  ["eslint(max-lines-per-function)", "src/gc/long-function.ts", functionOf71Lines],
  [
    "eslint(max-params)",
    "src/gc/params.ts",
    "export const sum = (a: number, b: number, c: number, d: number): number => a + b + c + d;\n",
  ],
  ["eslint(eqeqeq)", "src/gc/equal.ts", "export const x: boolean = Math.random() == 1;\n"],
  ["eslint(no-console)", "src/gc/console.ts", 'console.log("x");\n'],
  ["eslint(no-empty)", "src/gc/swallow.ts", 'try {\n  JSON.parse("");\n} catch {}\n'],
  ["unicorn(filename-case)", "src/gc/camelCase.ts", "export {};\n"],
  ["plimsoll(no-enum)", "src/gc/enum.ts", "export enum Color {\n  Red,\n}\n"],
  ["plimsoll(worker-path)", "src/gc/path.ts", 'export const path = "./far/x-worker.ts";\n'],
];

/** Who imports, what, as what. The left column must not, or may. */
const forbidden: readonly (readonly [path: string, specifier: string, form?: string])[] = [
  ["src/storage/a.ts", "../http/app.ts"],
  ["src/storage/b.ts", "../registry/registry.ts"],
  ["src/storage/deep/c.ts", "../../index/d.ts"],
  ["src/index/a.ts", "../storage/layout.ts"],
  ["src/registry/a.ts", "../storage/filesystem.ts"],
  ["src/registry/b.ts", "../http/app.ts", "export * from"],
  ["src/gc/a.ts", "../http/app.ts"],
  ["src/gc/b.ts", "../http/app.ts", "import type { App } from"],
  ["src/takeover/a.ts", "../index/d.ts"],
  ["src/http/a.ts", "../config/c.ts"],
  ["src/http/b.ts", "../storage/layout.ts"],
  ["src/config/a.ts", "../cli/answer.ts"],
  ["src/cli/a.ts", "../index/d.ts"],
  ["src/cli/b.ts", "../storage/layout.ts"],
  ["src/cli/d.ts", "../compose/root.ts"],
  ["src/oci/a.ts", "../registry/registry.ts", "import type { X } from"],
  ["src/oci/b.ts", "node:fs"],
  ["src/nowhere/a.ts", "../oci/d.ts"],
  ["src/gc/c.ts", "../compose/index.ts"],
  ["test/e2e/a.ts", "../../src/oci/d.ts"],
  ["test/support/a.ts", "../../src/oci/d.ts"],
];
const allowed: readonly (readonly [path: string, specifier: string, form?: string])[] = [
  ["src/compose/serve.ts", "../http/app.ts"],
  ["src/registry/c.ts", "../storage/layout.ts"],
  ["src/index/c.ts", "../registry/ports/index.ts"],
  ["src/takeover/scan-worker.ts", "../storage/filesystem.ts"],
  ["src/http/c.ts", "../config/c.ts", "import type { X } from"],
  ["src/cli/c.ts", "../compose/index.ts"],
  ["src/gc/c.test.ts", "../http/app.ts"],
  ["test/contract/a.test.ts", "../../src/storage/layout.ts"],
];

interface Diagnostic {
  readonly code?: string;
  readonly severity: string;
  readonly filename: string;
}

interface Break {
  readonly name: string;
  readonly check: readonly string[];
  readonly path: string;
  readonly source: string;
  /** What the check prints about it. */
  readonly says: string;
}

let project = "";

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "plimsoll-toolchain-"));
  for (const name of configuration) {
    cpSync(join(repositoryRoot, name), join(project, name), { recursive: true });
  }
  // Without the dependencies that only our sources and tests use, and this project does not.
  const manifest = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  manifest.dependencies = {};
  const ofOurSources = [
    "fast-check",
    "ajv",
    "@seriousme/openapi-schema-validator",
    "@types/cli-progress",
  ];
  for (const name of ofOurSources) {
    Reflect.deleteProperty(manifest.devDependencies, name);
  }
  write("package.json", `${JSON.stringify(manifest, null, 2)}\n`);
  symlinkSync(join(repositoryRoot, "node_modules"), join(project, "node_modules"));
  for (const [path, source] of Object.entries(faultless)) write(path, source);
});

afterAll(() => rmSync(project, { recursive: true }));

function write(path: string, source: string): void {
  mkdirSync(dirname(join(project, path)), { recursive: true });
  writeFileSync(join(project, path), source);
}

function run(argv: readonly string[]): { readonly exitCode: number; readonly output: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { cwd: project, stdin: "ignore" });
  return { exitCode, output: stdout.toString() + stderr.toString() };
}

/** Writes the files, runs the check, removes the files. */
function withFiles<Result>(files: Readonly<Record<string, string>>, act: () => Result): Result {
  for (const [path, source] of Object.entries(files)) write(path, source);
  try {
    return act();
  } finally {
    for (const path of Object.keys(files)) rmSync(join(project, path));
  }
}

/** `rule file` of every error. */
function lint(files: Readonly<Record<string, string>>): readonly string[] {
  const { exitCode, output } = withFiles(files, () => run([oxlint, "--format=json"]));
  const { diagnostics } = JSON.parse(output) as { readonly diagnostics: readonly Diagnostic[] };
  expect(exitCode).toBe(diagnostics.length === 0 ? 0 : 1);
  return diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} ${d.filename}`);
}

function importing(edges: typeof forbidden): Record<string, string> {
  const source = (specifier: string, form = "import * as x from"): string =>
    `${form} "${specifier}";\n`;
  return Object.fromEntries(edges.map(([path, ...rest]) => [path, source(...rest)]));
}

describe("lint", () => {
  test("a faultless project passes", () => {
    expect(lint({})).toEqual([]);
  });

  test("each break is an error of its rule", () => {
    const found = lint(Object.fromEntries(lintBreaks.map(([, path, source]) => [path, source])));
    const expected = lintBreaks.map(([rule, path]) => `${rule} ${path}`);
    expect(expected.filter((line) => !found.includes(line))).toEqual([]);
  });

  test("an import against the layers is an error, one along them is not", () => {
    const found = lint(importing([...forbidden, ...allowed])).filter((line) =>
      line.startsWith("plimsoll(layers)"),
    );
    expect(found.toSorted()).toEqual(
      forbidden.map(([path]) => `plimsoll(layers) ${path}`).toSorted(),
    );
  });
});

describe("the other checks", () => {
  const types = [bun, "check", "--no-script"];
  const format = [bun, "fmt", "--no-script", "--check"];
  const breaks: readonly Break[] = [
    {
      name: "types",
      check: types,
      path: "src/cli/wrong.ts",
      source: 'export const x: number = "1";\n',
      says: "TS2322",
    },
    {
      name: "types of scripts",
      check: types,
      path: "scripts/wrong.mjs",
      source: "/** @type {number} */\nexport const x = `1`;\n",
      says: "TS2322",
    },
    {
      name: "format",
      check: format,
      path: "src/cli/ugly.ts",
      source: "export  const x:number=1\n",
      says: "src/cli/ugly.ts",
    },
    {
      name: "dead code: an export that nobody uses",
      check: [knip],
      path: "src/cli/answer.ts",
      source: "export const answer: number = 0;\nexport const question = 1;\n",
      says: "question",
    },
    {
      name: "dead code: a file that nobody uses",
      check: [knip],
      path: "src/cli/lonely.ts",
      source: "export {};\n",
      says: "src/cli/lonely.ts",
    },
  ];

  test.each(breaks)("$name", ({ check, path, source, says }) => {
    expect(run(check)).toMatchObject({ exitCode: 0 });
    const broken = withFiles({ [path]: source }, () => run(check));
    if (path in faultless) write(path, faultless[path] ?? "");
    expect(broken.output).toContain(says);
    expect(broken.exitCode).toBe(1);
  });
});
