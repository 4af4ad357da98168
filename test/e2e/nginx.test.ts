// The registry behind the real nginx, on TLS, as docs/proxy.md configures it: where answers send the
// client, large and chunked uploads, the client's address, a unix socket in between, a real client.
// PLIMSOLL_NGINX_MIB is how large a large upload is.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";

import { digestOf, type Image, makeImage, writeLayout } from "../support/images.ts";
import {
  productCommand,
  runOk,
  type RunningRegistry,
  type StartOptions,
} from "../support/registry-process.ts";
import { createClient, describeWith } from "./clients.ts";
import { type Nginx, type NginxOptions, startNginx } from "./nginx.ts";
import { replaceInConfig, type Sandbox, withSandbox } from "./sandbox.ts";

setDefaultTimeout(180_000);

const largeMib = Number(process.env["PLIMSOLL_NGINX_MIB"] ?? 1024);
/** Idle it takes 70; a registry that gathered bodies would take all of a large one. */
const memoryMibMax = 256;

const image = makeImage("nginx", [100_000]);
const [layer = image.config] = image.layers;

interface Behind {
  /** Lines of `http`, indented by a space. */
  readonly http?: string;
  readonly nginx?: Partial<NginxOptions>;
  readonly start?: Partial<StartOptions>;
}

interface Served {
  readonly sandbox: Sandbox;
  readonly nginx: Nginx;
  readonly server: RunningRegistry;
  readonly ask: (location: string, init?: RequestInit) => Promise<Response>;
}

function behindNginx(body: (served: Served) => Promise<void>, behind: Behind = {}) {
  return withSandbox(async (sandbox) => {
    await addToHttp(sandbox, behind.http ?? "");
    const nginx = await startNginx(sandbox.directory, { upstream: sandbox.host, ...behind.nginx });
    try {
      const server = await sandbox.start(behind.start);
      const ask: Served["ask"] = (location, init) => {
        const url = new URL(location, nginx.url);
        return fetch(url, { redirect: "manual", tls: { ca: nginx.certificate }, ...init });
      };
      await body({ sandbox, nginx, server, ask });
    } finally {
      await nginx.stop();
    }
  });
}

async function addToHttp(sandbox: Sandbox, lines: string): Promise<void> {
  const addr = ` addr: ${sandbox.host}\n`;
  if (lines !== "") await replaceInConfig(sandbox, addr, addr + lines);
}

interface Expected {
  /** What locations begin with, up to and without "/v2/". */
  readonly locations: (nginx: Nginx) => string;
  /** What links to further pages begin with, and where a client asks first. */
  readonly path?: string;
}

/** Pushes an image in every way there is, and follows each Location and Link through nginx. */
async function pushAndFollow({ nginx, ask }: Served, expected: Expected): Promise<void> {
  const { path = "" } = expected;
  const base = `${expected.locations(nginx)}/v2`;
  const followed = async (response: Response, status: number, start: string): Promise<string> => {
    const location = response.headers.get("location") ?? "";
    expect([response.status, location.slice(0, base.length + start.length)]).toEqual([
      status,
      base + start,
    ]);
    await response.arrayBuffer();
    return location;
  };
  const at = `${path}/v2`;
  const uploads = "/team/app/blobs/uploads/";
  let upload = await followed(await ask(at + uploads, { method: "POST" }), 202, uploads);
  upload = await followed(
    await ask(upload, { method: "PATCH", body: inChunks(layer.bytes) }),
    202,
    uploads,
  );
  upload = await followed(await ask(upload), 204, uploads);
  const finish = withDigest(upload, layer.digest);
  const blob = `/team/app/blobs/${layer.digest}`;
  const stored = await followed(await ask(finish, { method: "PUT" }), 201, blob);
  expect(digestOf(await (await ask(stored)).bytes())).toBe(layer.digest);
  const mount = `${at}/team/other/blobs/uploads/?mount=${layer.digest}&from=team/app`;
  const mounted = `/team/other/blobs/${layer.digest}`;
  await followed(await ask(mount, { method: "POST" }), 201, mounted);
  for (const repository of ["team/app", "team/other"]) {
    const whole = `${at}/${repository}/blobs/uploads/?digest=${image.config.digest}`;
    const config = `/${repository}/blobs/${image.config.digest}`;
    await followed(await ask(whole, { method: "POST", body: image.config.bytes }), 201, config);
  }
  for (const reference of [
    "team/app/manifests/a",
    "team/app/manifests/b",
    "team/other/manifests/a",
  ]) {
    const put = await ask(`${at}/${reference}`, manifestOf(image));
    const manifest = `/${reference.replace(/\w$/, image.manifest.digest)}`;
    expect((await ask(await followed(put, 201, manifest))).status).toBe(200);
  }
  const next = async (list: string): Promise<unknown> => {
    const page = await ask(`${at}${list}?n=1`);
    const [, link = ""] = /^<(.*)>; rel="next"$/.exec(page.headers.get("link") ?? "") ?? [];
    expect(link).toStartWith(`${at}${list}?`);
    return await (await ask(link)).json();
  };
  expect(await next("/team/app/tags/list")).toEqual({ name: "team/app", tags: ["b"] });
  expect(await next("/_catalog")).toEqual({ repositories: ["team/other"] });
}

function manifestOf({ manifest }: Image): RequestInit {
  const headers = { "Content-Type": manifest.mediaType };
  return { method: "PUT", body: manifest.bytes, headers };
}

function withDigest(location: string, digest: string): string {
  return `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;
}

/** Of unknown length, so that it is sent in chunks. */
function inChunks(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 10_000) {
        controller.enqueue(bytes.subarray(at, at + 10_000));
      }
      controller.close();
    },
  });
}

/** Lines are gathered a moment before they are written. */
async function logOf(server: RunningRegistry): Promise<string> {
  await server.stop();
  return await server.log();
}

const location = "location / {\n    proxy_pass http://registry;";

describeWith(
  ["nginx", "openssl"],
  "behind nginx every location and link leads back through it",
  () => {
    const itself = (nginx: Nginx): string => nginx.url;
    test(
      "as the documentation has it",
      behindNginx((served) => pushAndFollow(served, { locations: itself })),
    );
    test(
      "with http.relativeurls",
      behindNginx((served) => pushAndFollow(served, { locations: () => "" }), {
        http: " relativeurls: true\n",
      }),
    );
    test(
      "below a path that stays",
      behindNginx(
        (served) =>
          pushAndFollow(served, { locations: (n) => `${n.url}/registry`, path: "/registry" }),
        {
          http: " prefix: /registry/\n",
          nginx: { replaced: { "location / {": "location /registry/ {" } },
          start: { firstPath: "/registry/v2/" },
        },
      ),
    );
    test("with http.host, also below a path that nginx takes off", async () => {
      for (const path of ["", "/registry"]) {
        // The port of nginx is known only when it runs.
        await withSandbox(async (sandbox) => {
          const stripping = `location ${path}/ {\n    proxy_pass http://registry${path && "/"};`;
          const nginx = await startNginx(sandbox.directory, {
            upstream: sandbox.host,
            replaced: {
              [location]: stripping,
              "$http_host;\n    proxy_set_header X": "wrong;\n    proxy_set_header X",
            },
          });
          try {
            await addToHttp(sandbox, ` host: ${nginx.url}${path}/\n`);
            const server = await sandbox.start();
            const ask: Served["ask"] = (to, init) =>
              fetch(new URL(to, nginx.url), { tls: { ca: nginx.certificate }, ...init });
            const locations = (): string => nginx.url + path;
            await pushAndFollow({ sandbox, nginx, server, ask }, { locations, path });
          } finally {
            await nginx.stop();
          }
        })();
      }
    });
    test("and so does the realm of its own tokens", async () => {
      const auth = `auth:
  htpasswd: {realm: r, path: HTPASSWD}
  issuer: {service: s}
`;
      await withSandbox(
        async (sandbox) => {
          const htpasswd = join(sandbox.directory, "htpasswd");
          await writeFile(
            htpasswd,
            `me:${await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 })}\n`,
          );
          await replaceInConfig(sandbox, "HTPASSWD", htpasswd);
          const nginx = await startNginx(sandbox.directory, { upstream: sandbox.host });
          try {
            await sandbox.start({ firstPath: "/" });
            const tls = { ca: nginx.certificate };
            const refused = await fetch(`${nginx.url}/v2/`, { tls });
            const realm = /realm="([^"]*)"/.exec(
              refused.headers.get("www-authenticate") ?? "",
            )?.[1];
            expect([refused.status, realm]).toEqual([401, `${nginx.url}/auth/token`]);
            const headers = { Authorization: `Basic ${btoa("me:secret")}` };
            const given = await fetch(`${realm}?service=s`, { tls, headers });
            const { token } = (await given.json()) as { token: string };
            const bearer = { Authorization: `Bearer ${token}` };
            expect((await fetch(`${nginx.url}/v2/`, { tls, headers: bearer })).status).toBe(200);
          } finally {
            await nginx.stop();
          }
        },
        { more: auth },
      )();
    });
  },
);

describeWith(["nginx", "openssl", "curl", "sha256sum"], `${largeMib} MiB through nginx`, () => {
  const upload = async (served: Served, how: readonly string[]): Promise<void> => {
    const { sandbox, nginx, server, ask } = served;
    const file = join(sandbox.directory, "large");
    await runOk(["truncate", "-s", `${largeMib}M`, file]);
    const [digest = ""] = (await runOk(["sha256sum", file])).stdout.split(" ", 1);
    const begun = await ask("/v2/large/blobs/uploads/", { method: "POST" });
    const to = withDigest(begun.headers.get("location") ?? "", `sha256:${digest}`);
    const curl = ["curl", "-sS", "--fail-with-body", "--cacert", nginx.certificatePath];
    const sent = ["-X", "PUT", "-T", file, "-w", "%{http_code}", ...how];
    expect((await runOk([...curl, ...sent, to])).stdout).toBe("201");
    const back = [...curl, `${nginx.url}/v2/large/blobs/sha256:${digest}`].join("' '");
    const { stdout } = await runOk(["bash", "-o", "pipefail", "-c", `'${back}' | sha256sum`]);
    expect(stdout).toStartWith(digest);
    expect(await peakMib(server.pid)).toBeLessThan(memoryMibMax);
  };
  test(
    "as it comes, with a length",
    behindNginx((served) => upload(served, [])),
  );
  test(
    "as it comes, in chunks",
    behindNginx((served) => upload(served, ["-H", "Transfer-Encoding: chunked"])),
  );
  test(
    "gathered by nginx first",
    behindNginx((served) => upload(served, ["-H", "Transfer-Encoding: chunked"]), {
      nginx: { replaced: { "proxy_request_buffering off": "proxy_request_buffering on" } },
    }),
  );
});

async function peakMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

describeWith(["nginx", "openssl", "curl"], "behind nginx", () => {
  test(
    "a client that says where it is sent is not believed",
    behindNginx(async ({ nginx, ask }) => {
      const said: Record<string, string>[] = [
        { "X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "http" },
        { Forwarded: "proto=http;host=evil.example.com" },
      ];
      for (const headers of said) {
        const begun = await ask("/v2/app/blobs/uploads/", { method: "POST", headers });
        expect(begun.headers.get("location")).toStartWith(`${nginx.url}/v2/app/`);
      }
    }),
  );

  test(
    "the logs name nginx's client, whatever that one says",
    behindNginx(
      async ({ nginx, server }) => {
        const curl = ["curl", "-sS", "--cacert", nginx.certificatePath, "--interface", "127.0.0.2"];
        const claims = ["-H", "X-Forwarded-For: 1.1.1.1", "-H", "X-Real-Ip: 1.1.1.1"];
        await runOk([
          ...curl,
          ...claims,
          "-H",
          "Forwarded: for=1.1.1.1;host=evil",
          `${nginx.url}/v2/?claims`,
        ]);
        const line = (await logOf(server))
          .split("\n")
          .find((one) => one.includes("msg=") && one.includes("?claims"));
        expect(line).toContain("http.request.remoteaddr=127.0.0.2 ");
        expect(await logOf(server)).toMatch(/^127\.0\.0\.2 - - .*\/v2\/\?claims/m);
      },
      { http: " trustedproxies: [127.0.0.1]\n" },
    ),
  );

  test(
    "connections to the registry are kept",
    behindNginx(
      async ({ ask, server }) => {
        for (let n = 0; n < 10; n += 1) await (await ask(`/v2/?kept=${n}`)).arrayBuffer();
        const ports = (await logOf(server)).matchAll(
          /remoteaddr="?127\.0\.0\.1:(\d+)"? .*\?kept=/g,
        );
        const all = Array.from(ports, ([, port]) => port);
        expect([all.length, new Set(all).size]).toEqual([10, 1]);
      },
      { http: " trustedproxies: []\n" },
    ),
  );

  test("a unix socket leads to the registry", async () => {
    await withSandbox(async (sandbox) => {
      const socket = join(sandbox.directory, "registry.sock");
      await replaceInConfig(sandbox, ` addr: ${sandbox.host}\n`, ` addr: ${socket}\n net: unix\n`);
      const nginx = await startNginx(sandbox.directory, { upstream: `unix:${socket}` });
      try {
        // nginx's workers are somebody else's: the socket's mode is what the umask leaves.
        const command = ["sh", "-c", 'umask 0; exec "$@"', "sh", ...productCommand];
        const server = await sandbox.start({ socket, command });
        const ask: Served["ask"] = (to, init) =>
          fetch(new URL(to, nginx.url), { tls: { ca: nginx.certificate }, ...init });
        const locations = (): string => nginx.url;
        await pushAndFollow({ sandbox, nginx, server, ask }, { locations });
        expect(await logOf(server)).toContain("http.request.remoteaddr=127.0.0.1 ");
      } finally {
        await nginx.stop();
      }
    })();
  });
});

describeWith(["nginx", "openssl", "skopeo"], "skopeo behind nginx", () => {
  test(
    "pushes and pulls",
    behindNginx(async ({ sandbox, nginx, server }) => {
      const client = await createClient("skopeo", sandbox.directory);
      const layout = join(sandbox.directory, "layout");
      await writeLayout(layout, { image });
      await client.push(`oci:${layout}:image`, `${nginx.host}/team/app:v1`);
      const pulled = await client.pull(`${nginx.host}/team/app:v1`);
      expect(`sha256:${pulled.stdout}`).toBe(image.config.digest);
      expect(await logOf(server)).toContain("PUT");
    }),
  );
});
