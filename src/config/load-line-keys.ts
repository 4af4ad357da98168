// `storage.watermark` and `storage.maxsize`: how full the storage may get. What they do: docs/limits.md.
import { z } from "zod";
import { byteSize } from "./bounds-sections.ts";
import type { LoadLineConfig, WatermarkConfig } from "./config.ts";
import { defaults } from "./defaults.ts";
import { scalar } from "./value-schemas.ts";

const percent = scalar(
  "a percentage such as 80% or 92.5%, more than 0% and at most 100%",
  (text) => {
    const [, digits] = /^(\d{1,3}(?:\.\d{1,3})?)\s*%$/.exec(text.trim()) ?? [];
    const value = Number(digits);
    return digits !== undefined && value > 0 && value <= 100 ? value : undefined;
  },
);

const { watermark: marks } = defaults.storage;

const orderForm = "warn, collect and refuse in this order, none above the next";

export const watermark = z
  .strictObject({
    warn: percent.default(marks.warnPercent),
    collect: percent.default(marks.collectPercent),
    refuse: percent.default(marks.refusePercent),
  })
  .transform((raw, context): WatermarkConfig => {
    const { warn, collect, refuse } = raw;
    if (warn > collect || collect > refuse) {
      const got = `with defaults filled in these are ${warn}%, ${collect}% and ${refuse}%`;
      context.issues.push({ code: "custom", input: raw, message: `${orderForm}; ${got}` });
    }
    return { warnPercent: warn, collectPercent: collect, refusePercent: refuse };
  });

export const sizeMax = byteSize.refine((bytes) => bytes > 0, {
  message: "an amount of bytes such as 500GB, more than 0",
});

/** Either key switches it on, with the defaults of the other. Null: nothing is watched. */
export function loadLineOf(raw: {
  readonly watermark?: WatermarkConfig | undefined;
  readonly maxsize?: number | undefined;
}): LoadLineConfig | null {
  if (raw.watermark === undefined && raw.maxsize === undefined) return null;
  return { watermark: raw.watermark ?? marks, sizeBytesMax: raw.maxsize ?? null };
}
