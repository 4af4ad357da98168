// Names for files that wait for their rename.
import { basename, dirname } from "node:path";

/** A uuid, two dots and "tmp" have to fit beside it into a name of 255 bytes. */
const temporaryBaseBytesMax = 200;

/** The name under which a file waits for its rename; the classic registry's form. */
export function temporaryPath(absolutePath: string): string {
  const suffix = `${crypto.randomUUID()}.tmp`;
  const isLong = Buffer.byteLength(basename(absolutePath)) > temporaryBaseBytesMax;
  return isLong ? `${dirname(absolutePath)}/${suffix}` : `${absolutePath}.${suffix}`;
}
