// The record of a collection as the API shows it.
import type { RunEntry } from "../../registry/ports/index.ts";
import { isoOf } from "./schemas.ts";

export function runView({ id, isOver, record }: RunEntry): object {
  const { startedAtMs, bytes, ...rest } = record;
  return { id, isOver, startedAt: isoOf(startedAtMs), bytesReclaimed: bytes, ...rest };
}
