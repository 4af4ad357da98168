// `registry usage [flags] [config.yml]`: where the disk went, and what deleting would give back. Reads only.
import { parseGlobs } from "../oci/index.ts";
import {
  parseTarget,
  targetsMax,
  topMax,
  UsageDocument,
  type UsageEvent,
  usageLines,
  type UsageOrder,
  usageOrders,
  type UsageRequest,
} from "../usage/index.ts";
import { FlagError } from "./garbage-collect-options.ts";
import { runRootCommand } from "./root-command.ts";

/** As commander hands them over; a flag that was not given is absent. */
export interface UsageFlags {
  readonly repository?: readonly string[];
  readonly top?: string;
  readonly by?: string;
  readonly json?: boolean;
  readonly deletePreview?: readonly string[];
}

const topDefault = 20;

export async function runUsage(
  path: string | undefined,
  flags: UsageFlags,
  version: string,
): Promise<number> {
  const document = new UsageDocument();
  const read = splitPath(path, flags);
  const code = await runRootCommand({
    version,
    path: read.path,
    request: () => ({ command: "usage", options: readUsageFlags(read.flags) }),
    hear: (told, { bar }) => {
      // What the owner tells is what its reports say: the same program, or one that says so.
      const event = told as UsageEvent;
      const lines = flags.json === true ? document.hear(event) : usageLines(event);
      for (const line of lines) bar.print(line);
    },
  });
  const json = document.toJson();
  if (json !== null) process.stdout.write(`${json}\n`);
  return code;
}

/** Behind `--delete-preview` and `--repository` everything is a name, but for a configuration at the end. */
export function splitPath(
  path: string | undefined,
  flags: UsageFlags,
): { readonly path: string | undefined; readonly flags: UsageFlags } {
  if (path !== undefined) return { path, flags };
  for (const name of ["deletePreview", "repository"] as const) {
    const names = flags[name] ?? [];
    const last = names.at(-1);
    if (last === undefined || !/\.ya?ml$/.test(last)) continue;
    return { path: last, flags: { ...flags, [name]: names.slice(0, -1) } };
  }
  return { path, flags };
}

/** @throws FlagError, GlobError, or what is wrong with a name. */
export function readUsageFlags(flags: UsageFlags): UsageRequest {
  const { deletePreview, repository = [], top, by } = flags;
  if (deletePreview !== undefined) {
    if (repository.length > 0 || top !== undefined || by !== undefined) {
      throw new FlagError("--delete-preview goes with --json alone");
    }
    if (deletePreview.length === 0) {
      throw new FlagError(
        "--delete-preview: name what would be deleted: NAME, NAME:TAG or NAME@DIGEST",
      );
    }
    if (deletePreview.length > targetsMax) {
      throw new FlagError(`--delete-preview: ${deletePreview.length} names; at most ${targetsMax}`);
    }
    for (const target of deletePreview) parseTarget(target);
    return { what: "delete-preview", targets: [...deletePreview] };
  }
  parseGlobs(repository);
  return { what: "report", by: readOrder(by), top: readTop(top), repositories: [...repository] };
}

function readOrder(by: string | undefined): UsageOrder {
  const order = usageOrders.find((one) => one === (by ?? "repository"));
  if (order !== undefined) return order;
  throw new FlagError(`--by: "${by?.slice(0, 80)}" is none of ${usageOrders.join(", ")}`);
}

function readTop(top: string | undefined): number {
  if (top === undefined) return topDefault;
  const rows = /^\d{1,5}$/.test(top) ? Number(top) : 0;
  if (rows >= 1 && rows <= topMax) return rows;
  throw new FlagError(`--top: "${top.slice(0, 80)}" is not a number of rows from 1 to ${topMax}`);
}
