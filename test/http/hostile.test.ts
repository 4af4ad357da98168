// Whatever is asked for, in whatever form: no answer is a server error, every refusal has the OCI form,
// and the server goes on. fast-check prints the seed and the smallest case of a failure.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { digestOf, mediaTypes } from "../../src/oci/index.ts";
import { type Harness, errorIn, rawAnswer, startHarness } from "./harness.ts";
import { createRealRegistry } from "./real-registry.ts";

const known = digestOf(Buffer.from("known"));
const start = (): Promise<Harness> => startHarness(() => createRealRegistry());

/** A refusal in the OCI form, or no refusal. */
async function expectNoFault(response: Response, method: string): Promise<void> {
  expect(response.status).toBeLessThan(500);
  if (response.status < 400 || method === "HEAD") await response.arrayBuffer();
  else expect((await errorIn(response)).code).toMatch(/^[A-Z_]+$/);
}

const piece = fc.oneof(
  fc.constantFrom("v2", "app", "blobs", "manifests", "uploads", "tags", "list", "referrers"),
  fc.constantFrom("_catalog", "", ".", "..", "%2e%2e", "%2f", "%00", "%ff", "%", "a b", "A", "é"),
  fc.constantFrom(known, "sha256:", "sha512:0", ":", "x".repeat(300), "__proto__"),
  fc.string({ maxLength: 20 }),
);
const parameter = fc.tuple(
  fc.constantFrom("n", "last", "digest", "mount", "from", "tag", "digest-algorithm", "_state"),
  fc.oneof(fc.constantFrom("", "0", "-1", "1e3", known, "%", "%00", "../x"), fc.string()),
);

test("no path and no parameter gives a server error", async () => {
  await using harness = await start();
  const { port } = harness.server;
  const methods = fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS");
  const request = fc.record({
    method: methods,
    pieces: fc.array(piece, { maxLength: 6 }),
    parameters: fc.array(parameter, { maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(request, async ({ method, pieces, parameters }) => {
      const query = parameters.map(([name, value]) => `${name}=${value}`).join("&");
      const target = `/v2/${pieces.join("/")}?${query}`;
      // What cannot stand in a request line at all is refused by the runtime.
      const line = target.replaceAll(/[^\x21-\x7e]/g, (c) => encodeURIComponent(c.toWellFormed()));
      const head = `${method} ${line} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`;
      const answer = await rawAnswer(port, head, { head: method === "HEAD" });
      const { status, headers, body } = answer;
      // Of these two statuses there is no body.
      const init = { status, headers };
      const bare = [204, 304].includes(status);
      await expectNoFault(new Response(bare ? null : body, init), method);
    }),
    { numRuns: 400 },
  );
});

const value = fc.oneof(
  fc.constantFrom<unknown>(null, true, -1, 1.5, 2 ** 53, "", "x", known, [], {}, [null]),
  fc.constantFrom<unknown>({ digest: known }, [{ digest: known, size: 5, mediaType: "x" }]),
  fc.jsonValue(),
);
const descriptor = {
  mediaType: "application/vnd.oci.image.config.v1+json",
  digest: known,
  size: 5,
};
/** Mostly right, so that the other members are looked at too. */
function mostly(...right: unknown[]): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...right) },
    { weight: 1, arbitrary: value },
  );
}
const members = {
  schemaVersion: mostly(2),
  mediaType: mostly(mediaTypes.ociManifest, "", null),
  config: mostly(descriptor),
  layers: mostly([], [descriptor], null),
  manifests: mostly(null),
  subject: mostly(null, descriptor),
  annotations: mostly({ a: "b" }, null),
  artifactType: mostly("x", null),
};

test("no manifest gives a server error, and what is accepted comes back as it was", async () => {
  await using harness = await start();
  await harness.pushBlob("app", "known");
  const types = fc.oneof(
    { weight: 4, arbitrary: fc.constant<string>(mediaTypes.ociManifest) },
    { weight: 1, arbitrary: fc.constantFrom(...Object.values(mediaTypes), "", "text/html; a=b") },
  );
  const pushed = fc.record({ manifest: fc.record(members), type: types });
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(pushed, async ({ manifest: content, type }) => {
      const body = JSON.stringify(content);
      const headers: Record<string, string> = type === "" ? {} : { "Content-Type": type };
      const path = "/v2/app/manifests/latest";
      const response = await harness.ask(path, { method: "PUT", body, headers });
      await expectNoFault(response, "PUT");
      if (response.status !== 201) return;
      accepted += 1;
      expect(await (await harness.ask(path)).text()).toBe(body);
    }),
    { numRuns: 400 },
  );
  expect(accepted).toBeGreaterThan(0);
});

// What the fuzzer (test/fuzz) found, each with the request that it found it with.

test("a place in the list of referrers that is no digest is refused", async () => {
  await using harness = await start();
  const subject = await harness.pushImage("app", "latest");
  for (const last of ["n".repeat(255), "x", "sha256:", known.toUpperCase()]) {
    const response = await harness.ask(`/v2/app/referrers/${subject}?last=${last}`);
    expect(response.status).toBe(400);
    expect((await errorIn(response)).code).toBe("DIGEST_INVALID");
  }
  const whole = await harness.ask(`/v2/app/referrers/${subject}?last=${known}`);
  expect(whole.status).toBe(200);
});
