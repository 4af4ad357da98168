// Tells network file systems apart: there, a lock may hold on one host only.
import { statfsSync } from "node:fs";

/** `f_type` of statfs(2), from the kernel's include/uapi/linux/magic.h. */
const networkTypes: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x517b, "SMB"],
  [0x00c36400, "Ceph"],
  [0x01021997, "9p"],
  [0x0bd00bd0, "Lustre"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
  [0x5346414f, "AFS"],
  [0x65735546, "FUSE"],
]);

/** Its name, or null for a local file system. */
export function networkFileSystem(directory: string): string | null {
  // The type is a signed 32-bit number on some architectures.
  return networkTypes.get(statfsSync(directory).type >>> 0) ?? null;
}
