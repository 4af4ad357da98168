// Amounts of bytes as people write them ("20MB", "512KiB", "1.5 GB", "1000000"), and rates ("20MB/s").
// As disks are sold and as `du` counts: MB is 1,000,000 bytes, MiB is 1,048,576.

const units: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Whole bytes, or null when the text is no amount. */
export function parseByteSize(text: string): number | null {
  const [, amount = "", unit = ""] =
    /^(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)$/.exec(text.trim().toLowerCase()) ?? [];
  const factor = units[unit];
  if (amount === "" || factor === undefined) return null;
  const bytes = Math.round(Number(amount) * factor);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** The same with "/s" behind it, or without. */
export function parseByteRate(text: string): number | null {
  return parseByteSize(text.trim().replace(/\s*\/\s*s$/i, ""));
}

/** The largest unit that gives a whole number: 20000000 → "20MB", 1048576 → "1MiB", 1500 → "1500". */
export function formatByteSize(bytes: number): string {
  let best = { amount: bytes, unit: "" };
  for (const [unit, factor] of Object.entries(units)) {
    const amount = bytes / factor;
    if (Number.isInteger(amount) && amount < best.amount) best = { amount, unit };
  }
  return `${best.amount}${names[best.unit] ?? ""}`;
}

const names: Readonly<Record<string, string>> = {
  kb: "kB",
  mb: "MB",
  gb: "GB",
  tb: "TB",
  kib: "KiB",
  mib: "MiB",
  gib: "GiB",
  tib: "TiB",
};
