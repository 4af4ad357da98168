// Amounts of bytes as people read them.

/** As disks are sold: 1 MB is 1,000,000 bytes. */
export function humanBytes(bytes: number): string {
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let amount = bytes / 1000;
  let unit = 0;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${amount.toFixed(1)} ${units[unit] ?? ""}`;
}
