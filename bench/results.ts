// Turns measured rows into bench/RESULTS.md: one table, medians and ratios, against the numbers that
// the design wants reached.
import { cpus, totalmem } from "node:os";
import { writeFile } from "node:fs/promises";

import type { PerSide } from "./sides.ts";

export interface Row extends PerSide {
  readonly what: string;
  readonly unit: string;
  /** In words, from the design; empty for a row that only informs. */
  readonly reach: string;
  /** Whether these numbers reach it; null for a row that only informs. */
  readonly reached: boolean | null;
}

function shown(value: number | null): string {
  if (value === null) return "–";
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function ratioOf(row: Row): string {
  if (row.classic === null || row.plimsoll === null || row.classic === 0) return "–";
  return shown(row.plimsoll / row.classic);
}

export function tableOf(rows: readonly Row[]): string {
  const head = [
    "| what | unit | classic | plimsoll | plimsoll / classic | to reach | reached |",
    "|---|---|--:|--:|--:|---|---|",
  ];
  const lines = rows.map((row) => {
    const reached = row.reached === null ? "" : row.reached ? "yes" : "**no**";
    const numbers = [shown(row.classic), shown(row.plimsoll), ratioOf(row)];
    return `| ${[row.what, row.unit, ...numbers, row.reach, reached].join(" | ")} |`;
  });
  return [...head, ...lines].join("\n");
}

export async function writeResults(
  path: string,
  rows: readonly Row[],
  conditions: readonly string[],
): Promise<void> {
  const memoryGib = Math.round(totalmem() / 2 ** 30);
  const sections = [...(await sectionsOf(path)).values()];
  await writeFile(
    path,
    `# Results

Written by \`bun bench/run.ts\`; medians of one run, both registries on the same machine, the same
configuration, on loopback, logs to /dev/null. "classic" is Debian's docker-registry.

- ${cpus().length} cores (${cpus()[0]?.model.trim() ?? "unknown"}), ${memoryGib} GiB of memory
${conditions.map((condition) => `- ${condition}`).join("\n")}

${tableOf(rows)}
${sections.map((section) => `\n${section.trim()}\n`).join("")}`,
  );
}

/** What other benches have written below the first table, by its heading. */
async function sectionsOf(path: string): Promise<Map<string, string>> {
  const file = Bun.file(path);
  if (!(await file.exists())) return new Map();
  const [, ...sections] = (await file.text()).split(/^(?=## )/m);
  return new Map(sections.map((text) => [text.slice(3, text.indexOf("\n")), text]));
}

/** Puts a section of its own under the results, in place of an older one with the same title. */
export async function appendResults(
  path: string,
  section: {
    readonly title: string;
    /** Sentences or list items, above the table. */
    readonly conditions: readonly string[];
    /** Markdown. */
    readonly table: string;
  },
): Promise<void> {
  const sections = await sectionsOf(path);
  const file = Bun.file(path);
  const [head = ""] = (await file.exists()) ? (await file.text()).split(/^(?=## )/m) : [];
  const { title, conditions, table } = section;
  const list = conditions.map((condition) => `- ${condition}`).join("\n");
  sections.set(title, `## ${title}\n\n${list}\n\n${table}\n`);
  const parts = [head || "# Results\n", ...sections.values()];
  await writeFile(path, `${parts.map((part) => part.trim()).join("\n\n")}\n`);
}
