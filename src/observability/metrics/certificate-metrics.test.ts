import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "prom-client";
import { makeCa } from "../../../test/support/certificates.ts";
import { CertificateMetrics } from "./certificate-metrics.ts";

const dayS = 86_400;

/** Of thirty days. */
function certificate(): string {
  const directory = mkdtempSync(join(tmpdir(), "plimsoll-certificate-"));
  const text = readFileSync(makeCa(directory, "ca").certificate, "utf8");
  rmSync(directory, { recursive: true });
  return text;
}

test("until when it counts; nothing counts that nobody vouches for", async () => {
  const register = new Registry();
  const metrics = new CertificateMetrics(register);
  let shown: string | null = null;
  const read = async (): Promise<number | undefined> => {
    const text = await register.metrics();
    const [, value] = /^plimsoll_tls_\S+\{source="letsencrypt"\} (\S+)$/m.exec(text) ?? [];
    return value === undefined ? undefined : Number(value);
  };
  expect(await read()).toBeUndefined();
  metrics.show({ source: "letsencrypt", current: () => shown });
  // An alert on what is left fires.
  expect(await read()).toBe(0);
  shown = certificate();
  const leftS = ((await read()) ?? 0) - Date.now() / 1000;
  expect(leftS).toBeWithin(29.9 * dayS, 30.1 * dayS);
  shown = null;
  expect(await read()).toBe(0);
});
