// The two registries that a bench puts side by side, each with the same configuration, on loopback,
// with its log going to /dev/null and a root directory of its own.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { RunningRegistry } from "../test/support/registry-process.ts";
import {
  classicCommand,
  freePort,
  productCommand,
  startRegistry,
} from "../test/support/registry-process.ts";

export const sideNames = ["classic", "plimsoll"] as const;
export type SideName = (typeof sideNames)[number];

/** One number for each side; null where a side was not measured. */
export type PerSide = Readonly<Record<SideName, number | null>>;

export function commandOf(side: SideName): readonly string[] {
  return side === "classic" ? classicCommand : productCommand;
}

export interface Place {
  readonly side: SideName;
  readonly root: string;
  readonly host: string;
  readonly configPath: string;
}

/** Writes the configuration of a side that keeps its data under `root`. */
export async function placeFor(side: SideName, directory: string, root: string): Promise<Place> {
  await mkdir(directory, { recursive: true });
  await mkdir(root, { recursive: true });
  const host = `127.0.0.1:${await freePort()}`;
  const configPath = join(directory, `${side}.yml`);
  await writeFile(
    configPath,
    `version: 0.1
storage:
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: ${root}
http:
  addr: ${host}
`,
  );
  return { side, root, host, configPath };
}

export function start(place: Place, firstPath = "/v2/"): Promise<RunningRegistry> {
  const { configPath, host } = place;
  const command = commandOf(place.side);
  return startRegistry({ command, configPath, host, logPath: null, firstPath });
}

/** The arguments to run a command of this side with. */
export function commandLine(place: Place, ...args: readonly string[]): string[] {
  return [...commandOf(place.side), ...args, place.configPath];
}
