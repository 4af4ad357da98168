// A crowd of clients that behave badly, in a process of its own, so that what they cost here is not taken
// for what they cost the registry: slow heads and bodies, uploads that are given up, downloads that are
// left half-way. Says on stdout when all of them are there; goes away when stdin ends.
import { randomUUID } from "node:crypto";

export interface CrowdOptions {
  readonly kind: CrowdKind;
  readonly port: number;
  readonly count: number;
  readonly repository: string;
  /** What the downloads ask for. */
  readonly digest: string;
}

export type CrowdKind = "trickling" | "aborted uploads" | "half-closed downloads";

interface Member {
  readonly socket: Bun.Socket;
  received: string;
  receivedBytes: number;
  isClosed: boolean;
}

/** Of what trickles: a byte or a line in this time, from each at another moment. */
const trickleMs = 2_000;
/** Connections that are made at once: a listening socket has a queue. */
const atOnce = 50;
/** An upload that is given up has sent so much of what it announced. */
const abortedBytes = 128 * 1024;
const announcedBytes = 10 * 1024 * 1024;
/** A download is left after so much, far less than the blob. */
const leftAfterBytes = 64 * 1024;

async function join(port: number): Promise<Member> {
  let member: Member | null = null;
  const closed = (): void => {
    if (member !== null) member.isClosed = true;
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (own, data) => {
        if (member === null) return;
        member.receivedBytes += data.length;
        if (member.received.length < 4_096) member.received += data.toString("latin1");
        else own.pause();
      },
      close: closed,
      end: closed,
      error: closed,
    },
  });
  member = { socket, received: "", receivedBytes: 0, isClosed: false };
  return member;
}

async function until(isSo: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + 10_000;
  while (!isSo() && performance.now() < giveUpMs) await Bun.sleep(5);
}

const head = (line: string, ...headers: string[]): string =>
  `${[`${line} HTTP/1.1`, "Host: 127.0.0.1", ...headers].join("\r\n")}\r\n`;

async function beginUpload(member: Member, repository: string): Promise<string> {
  member.socket.write(`${head(`POST /v2/${repository}/blobs/uploads/`, "Content-Length: 0")}\r\n`);
  await until(() => member.received.includes("\r\n\r\n"));
  const location = /^location: (?:http:\/\/[^/]+)?(\S+)/im.exec(member.received)?.[1];
  return location ?? `/v2/${repository}/blobs/uploads/${randomUUID()}`;
}

/** A quarter says nothing at all, a quarter sends a body byte by byte, half a head line by line. */
async function trickle(options: CrowdOptions, number: number): Promise<Member> {
  const member = await join(options.port);
  if (number % 4 === 0) return member;
  const isBody = number % 4 === 1;
  if (isBody) {
    const location = await beginUpload(member, options.repository);
    member.socket.write(`${head(`PATCH ${location}`, `Content-Length: ${announcedBytes}`)}\r\n`);
  } else {
    member.socket.write(head("GET /v2/"));
  }
  const send = (): void => {
    if (member.isClosed) return;
    member.socket.write(isBody ? "x" : "X-Slow: 1\r\n");
    setTimeout(send, trickleMs);
  };
  setTimeout(send, Math.random() * trickleMs);
  return member;
}

async function abortUpload({ port, repository }: CrowdOptions): Promise<Member> {
  const member = await join(port);
  const location = await beginUpload(member, repository);
  member.socket.write(`${head(`PATCH ${location}`, `Content-Length: ${announcedBytes}`)}\r\n`);
  member.socket.write(Buffer.alloc(abortedBytes, "x"));
  return member;
}

/** Half of them say that they send no more, and none reads on. */
async function leaveDownload(options: CrowdOptions, number: number): Promise<Member> {
  const member = await join(options.port);
  member.socket.write(`${head(`GET /v2/${options.repository}/blobs/${options.digest}`)}\r\n`);
  await until(() => member.receivedBytes >= leftAfterBytes || member.isClosed);
  member.socket.pause();
  if (number % 2 === 0) member.socket.shutdown();
  return member;
}

const acts = {
  trickling: trickle,
  "aborted uploads": abortUpload,
  "half-closed downloads": leaveDownload,
} as const;

if (import.meta.main) {
  const options = JSON.parse(process.argv[2] ?? "") as CrowdOptions;
  const members: Member[] = [];
  for (let at = 0; at < options.count; at += atOnce) {
    const numbers = Array.from({ length: Math.min(atOnce, options.count - at) }, (_, n) => at + n);
    members.push(...(await Promise.all(numbers.map((n) => acts[options.kind](options, n)))));
  }
  console.log(JSON.stringify({ there: members.length }));
  await Bun.stdin.text();
  console.log(JSON.stringify({ closed: members.filter(({ isClosed }) => isClosed).length }));
  // Without a word, as a machine that is switched off.
  for (const { socket } of members) socket.terminate();
  process.exit(0);
}
