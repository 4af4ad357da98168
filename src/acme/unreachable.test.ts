import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certify, makeCa } from "../../test/support/certificates.ts";
import { whyUnreachable } from "./unreachable.ts";

test("says that nobody is there, or that a private CA is not trusted; else nothing", async () => {
  const directory = mkdtempSync(join(tmpdir(), "plimsoll-unreachable-"));
  const made = certify(directory, { ca: makeCa(directory, "ca"), name: "acme" });
  const tls = { cert: Bun.file(made.certificate), key: Bun.file(made.key) };
  const fetch = () => new Response("no", { status: 404 });
  const plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
  const encrypted = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch, tls });
  expect(await whyUnreachable(`http://127.0.0.1:${plain.port}/dir`)).toBeNull();
  const url = `https://127.0.0.1:${encrypted.port}/dir`;
  expect(await whyUnreachable(url)).toMatch(/^https:.* cannot be reached: .*(CERT|certificate)/i);
  await Promise.all([plain.stop(true), encrypted.stop(true)]);
  expect(await whyUnreachable(url)).toContain("cannot be reached: ECONNREFUSED");
  rmSync(directory, { recursive: true });
});
