// Which of several listeners on one port the kernel gives new connections to. Without a word it shares
// them out among all; and a listener that is closed takes with it the connections that nobody has
// accepted yet. So that none is lost when one listener takes the place of another, the new one is given
// all that comes, and the old one is closed when there is nothing left in it.
//
// Linux: a filter of one instruction, "the n-th of the group", attached by setsockopt(2) to a listener
// (SO_ATTACH_REUSEPORT_CBPF in socket(7)). A new listener is the last of its group; the last one takes
// the place of one that is closed (net/core/sock_reuseport.c). The runtime shows neither descriptors
// nor socket options: the first are found by looking which are new, the second by calling the C library.
import { existsSync, readdirSync, readlinkSync } from "node:fs";

const descriptors = "/proc/self/fd";
const solSocket = 1;
const soAcceptConn = 30;
const soAttachReusePortCbpf = 51;
/** Ends with a constant: BPF_RET | BPF_K. */
const bpfReturn = 0x06;

const libraries = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
] as const;

export interface Steering {
  /**
   * Opens a listener, and finds out which descriptor it has; null: it cannot be told.
   * @throws what `listen` throws, or before it is called: a listener that is open is always handed out.
   */
  open<T>(listen: () => T): { readonly listener: T; readonly descriptor: number | null };
  /** Whether all new connections go to the listener at this place of the group from now on. */
  toPlace(descriptor: number, place: number): boolean;
}

/** Null: not on this system, or not allowed. */
export async function openSteering(): Promise<Steering | null> {
  if (process.platform !== "linux" || !existsSync(descriptors)) return null;
  const calls = await openCalls();
  if (calls === null) return null;
  return {
    open: (listen) => {
      const before = new Set(sockets());
      const listener = listen();
      const found = newSockets(before).filter((fd) => calls.isListening(fd));
      const [descriptor = null] = found;
      return { listener, descriptor: found.length === 1 ? descriptor : null };
    },
    toPlace: (descriptor, place) => calls.attach(descriptor, place),
  };
}

async function openCalls() {
  // Only loaded when a certificate changes.
  const { dlopen, ptr } = await import("bun:ffi");
  for (const library of libraries) {
    try {
      const { symbols } = dlopen(library, {
        getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
        setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
      });
      const isListening = (fd: number): boolean => {
        const value = new Int32Array(1);
        const size = new Uint32Array([value.byteLength]);
        const result = symbols.getsockopt(fd, solSocket, soAcceptConn, ptr(value), ptr(size));
        return result === 0 && value[0] === 1;
      };
      const attach = (fd: number, place: number): boolean => {
        // struct sock_filter { u16 code; u8 jt, jf; u32 k }
        const filter = new Uint32Array([bpfReturn, place]);
        // struct sock_fprog { u16 length; struct sock_filter *filter }
        const program = new BigUint64Array([1n, BigInt(ptr(filter))]);
        const { byteLength } = program;
        const given = ptr(program);
        const result = symbols.setsockopt(fd, solSocket, soAttachReusePortCbpf, given, byteLength);
        // Read once more, so that the filter is not taken for garbage before the call has read it.
        return result === 0 && filter[1] === place;
      };
      return { isListening, attach };
    } catch {
      // Not the C library of this system: the next one, or none.
    }
  }
  return null;
}

function newSockets(before: ReadonlySet<number>): number[] {
  try {
    return sockets().filter((fd) => !before.has(fd));
  } catch {
    // The listener has taken the last descriptor, and looking takes one too.
    return [];
  }
}

function sockets(): number[] {
  return readdirSync(descriptors).map(Number).filter(isSocket);
}

function isSocket(fd: number): boolean {
  try {
    return readlinkSync(`${descriptors}/${fd}`).startsWith("socket:");
  } catch {
    // The directory's own, which is closed again.
    return false;
  }
}
