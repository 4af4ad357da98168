// The real nginx in front of a registry, with the configuration that docs/proxy.md tells people to use:
// only the addresses and the files of the certificate are put in.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { freePort, repositoryRoot, runOk } from "../support/registry-process.ts";
import { programPath } from "./clients.ts";

export interface NginxOptions {
  /** "127.0.0.1:5000", or "unix:/run/registry.sock". */
  readonly upstream: string;
  /** Instead of what the page says, by what is replaced. */
  readonly replaced?: Readonly<Record<string, string>>;
}

export interface Nginx {
  /** As in an image name: 127.0.0.1:port. */
  readonly host: string;
  /** "https://127.0.0.1:port" */
  readonly url: string;
  /** Of the certificate that it shows, in PEM. */
  readonly certificate: string;
  readonly certificatePath: string;
  stop(): Promise<void>;
}

export async function startNginx(directory: string, options: NginxOptions): Promise<Nginx> {
  const home = join(directory, "nginx");
  await mkdir(join(home, "bodies"), { recursive: true });
  const host = `127.0.0.1:${await freePort()}`;
  const certificatePath = await selfSigned(home);
  const block = replacedIn(await documented(), {
    "server 127.0.0.1:5000;": `server ${options.upstream};`,
    "listen 443 ssl;": `listen ${host} ssl;`,
    "/etc/nginx/registry.crt": certificatePath,
    "/etc/nginx/registry.key": join(home, "registry.key"),
    ...options.replaced,
  });
  const configuration = `daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log ${home}/error.log;
events {}
http {
access_log off;
client_body_temp_path ${home}/bodies;
proxy_temp_path ${home}/proxy;
fastcgi_temp_path ${home}/fastcgi;
uwsgi_temp_path ${home}/uwsgi;
scgi_temp_path ${home}/scgi;
${block}}
`;
  await writeFile(join(home, "nginx.conf"), configuration);
  const program = programPath("nginx") ?? "nginx";
  const child = spawn(program, ["-p", home, "-c", join(home, "nginx.conf")], { stdio: "ignore" });
  const ended = once(child, "exit");
  const killAtExit = (): void => void child.kill("SIGTERM");
  process.once("exit", killAtExit);
  const stop = async (): Promise<void> => {
    process.removeListener("exit", killAtExit);
    if (child.exitCode === null) child.kill("SIGTERM");
    await ended;
  };
  const url = `https://${host}`;
  try {
    await listening(url, () => child.exitCode !== null);
  } catch (error) {
    await stop();
    const log = await readFile(join(home, "error.log"), "utf8").catch(() => "");
    throw new Error(`nginx does not listen:\n${log}\n${configuration}`, { cause: error });
  }
  const certificate = await readFile(certificatePath, "utf8");
  return { host, url, certificate, certificatePath, stop };
}

/** The first block of the page that is nginx's. */
async function documented(): Promise<string> {
  const page = await readFile(join(repositoryRoot, "docs/proxy.md"), "utf8");
  const [, block] = /```nginx\n(.*?)```/s.exec(page) ?? [];
  if (block === undefined) throw new Error("docs/proxy.md has no configuration of nginx");
  return block;
}

function replacedIn(text: string, replaced: Readonly<Record<string, string>>): string {
  let result = text;
  for (const [from, to] of Object.entries(replaced)) {
    if (!result.includes(from)) throw new Error(`the configuration of nginx has no ${from}`);
    result = result.replace(from, to);
  }
  return result;
}

async function selfSigned(home: string): Promise<string> {
  const certificatePath = join(home, "registry.crt");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", join(home, "registry.key"), "-out", certificatePath];
  await runOk(["openssl", "req", "-x509", ...key, "-days", "2", ...names, ...files]);
  return certificatePath;
}

async function listening(url: string, hasEnded: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 500 && !hasEnded(); attempt += 1) {
    try {
      // Whatever it answers: 502 as long as there is no registry behind it.
      await (await fetch(url, { tls: { rejectUnauthorized: false } })).arrayBuffer();
      return;
    } catch {
      await Bun.sleep(20);
    }
  }
  throw new Error(hasEnded() ? "it ended" : "it does not answer");
}
