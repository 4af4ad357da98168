// Pushing blobs: in one request, in two, in chunks, streamed; mounting; sessions.
import { describe, expect, test } from "bun:test";
import { digestOf } from "../../../src/oci/index.ts";
import {
  type Harness,
  type RegistryFactory,
  errorIn,
  startHarness,
  withParameter,
} from "../harness.ts";

const content = "hello";
const digest = digestOf(Buffer.from(content));
const sha512 = digestOf(Buffer.from(content), "sha512");
const uploads = "/v2/team/app/blobs/uploads/";

export function pushBlobTests(factory: RegistryFactory): void {
  describe("one request", () => atOnceTests(factory));
  describe("a session", () => sessionTests(factory));
  describe("chunks", () => chunkTests(factory));
  describe("mount", () => mountTests(factory));
  describe("locations", () => locationTests(factory));
}

async function begin(harness: Harness, query = ""): Promise<string> {
  const response = await harness.ask(uploads + query, { method: "POST" });
  expect(response.status).toBe(202);
  return response.headers.get("location") ?? "";
}

interface Part {
  readonly body: string;
  /** Content-Range */
  readonly range?: string;
}

function partInit(method: string, part: Part | undefined): RequestInit {
  if (part === undefined) return { method };
  const headers = part.range === undefined ? {} : { "Content-Range": part.range };
  return { method, body: part.body, headers };
}

/** To a location, a part. */
type Send = (location: string | null, part?: Part) => Promise<Response>;

function patchTo(harness: Harness): Send {
  return (location, part) => harness.go(location, partInit("PATCH", part));
}

function putTo(harness: Harness, as: string = digest): Send {
  return (location, part) => {
    return harness.go(withParameter(location, "digest", as), partInit("PUT", part));
  };
}

async function expectStored(harness: Harness, as: string = digest): Promise<void> {
  const response = await harness.ask(`/v2/team/app/blobs/${as}`);
  expect(response.status).toBe(200);
  expect(await response.text()).toBe(content);
}

function expectCreated(harness: Harness, response: Response, as: string = digest): void {
  expect(response.status).toBe(201);
  expect(response.headers.get("location")).toBe(`${harness.origin}/v2/team/app/blobs/${as}`);
  expect(response.headers.get("docker-content-digest")).toBe(as as never);
  expect(response.headers.get("content-length")).toBe("0");
}

function atOnceTests(factory: RegistryFactory): void {
  test.each([digest, sha512])("POST ?digest=%s with a body is 201", async (as) => {
    await using harness = await startHarness(factory);
    const response = await harness.ask(`${uploads}?digest=${as}`, {
      method: "POST",
      body: content,
    });
    expectCreated(harness, response, as);
    await expectStored(harness, as);
  });

  test("with the wrong digest it is 400 DIGEST_INVALID and nothing is there", async () => {
    await using harness = await startHarness(factory);
    const response = await harness.ask(`${uploads}?digest=${digest}`, {
      method: "POST",
      body: "x",
    });
    expect(response.status).toBe(400);
    expect((await errorIn(response)).code).toBe("DIGEST_INVALID");
    expect((await harness.ask(`/v2/team/app/blobs/${digest}`)).status).toBe(404);
  });

  test("with a malformed digest it is 400 DIGEST_INVALID", async () => {
    await using harness = await startHarness(factory);
    const response = await harness.ask(`${uploads}?digest=nonsense`, { method: "POST", body: "x" });
    expect(response.status).toBe(400);
    expect((await errorIn(response)).code).toBe("DIGEST_INVALID");
  });

  test("without a body it begins a session", async () => {
    await using harness = await startHarness(factory);
    const location = await begin(harness, `?digest=${digest}`);
    expectCreated(harness, await putTo(harness)(location, { body: content }));
  });
}

function sessionTests(factory: RegistryFactory): void {
  test.each([uploads, uploads.slice(0, -1)])("POST %s is 202 with a location", async (path) => {
    await using harness = await startHarness(factory);
    const response = await harness.ask(path, { method: "POST" });
    expect(response.status).toBe(202);
    const id = response.headers.get("docker-upload-uuid") ?? "";
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(response.headers.get("location")).toStartWith(
      `${harness.origin}/v2/team/app/blobs/uploads/${id}?_state=`,
    );
    expect(response.headers.get("range")).toBe("0-0");
    expect(response.headers.get("content-length")).toBe("0");
  });

  test.each([digest, sha512])("POST then PUT of everything as %s", async (as) => {
    await using harness = await startHarness(factory);
    const location = await begin(harness, `?digest-algorithm=${as.slice(0, 6)}`);
    expectCreated(harness, await putTo(harness, as)(location, { body: content }), as);
    await expectStored(harness, as);
    expect((await harness.go(location)).status).toBe(404);
  });

  test("an unknown digest-algorithm is 400", async () => {
    await using harness = await startHarness(factory);
    const response = await harness.ask(`${uploads}?digest-algorithm=md5`, { method: "POST" });
    expect(response.status).toBe(400);
    expect((await errorIn(response)).code).toBe("DIGEST_INVALID");
  });

  test("a streamed PATCH without a length, then an empty PUT, as docker does it", async () => {
    await using harness = await startHarness(factory);
    const location = await begin(harness);
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from("he"));
        controller.enqueue(Buffer.from("llo"));
        controller.close();
      },
    });
    const patched = await harness.go(location, { method: "PATCH", body });
    expect(patched.status).toBe(202);
    expect(patched.headers.get("range")).toBe("0-4");
    expect(patched.headers.get("content-length")).toBe("0");
    expectCreated(harness, await putTo(harness)(patched.headers.get("location")));
    await expectStored(harness);
  });

  test("the empty blob", async () => {
    await using harness = await startHarness(factory);
    const empty = digestOf(new Uint8Array(0));
    const response = await putTo(harness, empty)(await begin(harness));
    expectCreated(harness, response, empty);
    const got = await harness.ask(`/v2/team/app/blobs/${empty}`);
    expect(got.headers.get("content-length")).toBe("0");
    expect(await got.text()).toBe("");
    for (const range of ["bytes=0-0", "bytes=-5", "bytes=0-"]) {
      const part = await harness.ask(`/v2/team/app/blobs/${empty}`, { headers: { Range: range } });
      expect([range, part.status]).toEqual([range, 416]);
    }
  });

  test("GET tells how far it is, with 204", async () => {
    await using harness = await startHarness(factory);
    const location = await begin(harness);
    const fresh = await harness.go(location);
    expect(fresh.status).toBe(204);
    expect(fresh.headers.get("range")).toBe("0-0");
    expect(fresh.headers.get("location")).toBe(location);
    await patchTo(harness)(location, { body: content });
    const later = await harness.go(location);
    expect(later.headers.get("range")).toBe("0-4");
    expect(later.headers.get("docker-upload-uuid")).toBe(fresh.headers.get("docker-upload-uuid"));
  });

  test("DELETE ends it with 204, then it is 404 BLOB_UPLOAD_UNKNOWN", async () => {
    await using harness = await startHarness(factory, { deleteEnabled: false });
    const location = await begin(harness);
    expect((await harness.go(location, { method: "DELETE" })).status).toBe(204);
    for (const method of ["GET", "PATCH", "DELETE"]) {
      const response = await harness.go(location, { method });
      expect(response.status).toBe(404);
      expect((await errorIn(response)).code).toBe("BLOB_UPLOAD_UNKNOWN");
    }
  });

  test("PUT without a digest, with a malformed one, with the wrong one: 400", async () => {
    await using harness = await startHarness(factory);
    const location = await begin(harness);
    const answers = [
      await harness.go(location, { method: "PUT", body: content }),
      await putTo(harness, "sha256:zz")(location, { body: content }),
      await putTo(harness)(location, { body: "other" }),
    ];
    for (const response of answers) {
      expect(response.status).toBe(400);
      expect((await errorIn(response)).code).toBe("DIGEST_INVALID");
    }
  });
}

function chunkTests(factory: RegistryFactory): void {
  test("in order, the last with PUT", async () => {
    await using harness = await startHarness(factory);
    const first = await patchTo(harness)(await begin(harness), { body: "he", range: "0-1" });
    expect(first.status).toBe(202);
    expect(first.headers.get("range")).toBe("0-1");
    const second = await patchTo(harness)(first.headers.get("location"), {
      body: "ll",
      range: "2-3",
    });
    expect(second.headers.get("range")).toBe("0-3");
    const part = { body: "o", range: "4-4" };
    expectCreated(harness, await putTo(harness)(second.headers.get("location"), part));
    await expectStored(harness);
  });

  test("out of order is 416 with the range that is there, and the session goes on", async () => {
    await using harness = await startHarness(factory);
    const location = await begin(harness);
    await patchTo(harness)(location, { body: "he", range: "0-1" });
    const last = { body: "o", range: "4-4" };
    const answers = [
      await patchTo(harness)(location, { body: "o", range: "4-4" }),
      await patchTo(harness)(location, { body: "he", range: "0-1" }),
      await putTo(harness)(location, last),
    ];
    for (const response of answers) {
      expect(response.status).toBe(416);
      expect(response.headers.get("range")).toBe("0-1");
      expect((await errorIn(response)).code).toBe("RANGE_INVALID");
    }
    expect((await patchTo(harness)(location, { body: "llo", range: "2-4" })).status).toBe(202);
    expectCreated(harness, await putTo(harness)(location));
  });

  test("a malformed Content-Range is 416 with the range that is there, nothing is taken", async () => {
    await using harness = await startHarness(factory);
    const location = await begin(harness);
    await patchTo(harness)(location, { body: "he", range: "0-1" });
    for (const range of [
      "x-7",
      "3-1",
      "-5",
      "5-",
      "0-4-",
      "99999999999999999999-999999999999999999999",
    ]) {
      for (const send of [patchTo(harness), putTo(harness)]) {
        const response = await send(location, { body: content, range });
        expect([range, response.status]).toEqual([range, 416]);
        expect(response.headers.get("range")).toBe("0-1");
      }
    }
    expect((await harness.go(location)).headers.get("range")).toBe("0-1");
    await harness.go(location, { method: "DELETE" });
    const gone = await patchTo(harness)(location, { body: content, range: "x-7" });
    expect([gone.status, (await errorIn(gone)).code]).toEqual([404, "BLOB_UPLOAD_UNKNOWN"]);
  });

  test("a Content-Range that is not as long as the body is 400 SIZE_INVALID", async () => {
    await using harness = await startHarness(factory);
    const response = await patchTo(harness)(await begin(harness), { body: content, range: "0-99" });
    expect(response.status).toBe(400);
    expect((await errorIn(response)).code).toBe("SIZE_INVALID");
  });
}

function mountTests(factory: RegistryFactory): void {
  test.each([`&from=other`, ""])("mount%s of a blob that is there is 201", async (from) => {
    await using harness = await startHarness(factory);
    await harness.pushBlob("other", content);
    const path = `${uploads}?mount=${digest}${from}`;
    expectCreated(harness, await harness.ask(path, { method: "POST" }));
    await expectStored(harness);
  });

  test.each([
    `mount=${digest}&from=empty`,
    `mount=${digest}`,
    `mount=${digest}&from=NOT-A-NAME`,
    "mount=sha256:zz&from=other",
  ])("?%s cannot be mounted and begins a session", async (query) => {
    await using harness = await startHarness(factory);
    const location = await begin(harness, `?${query}`);
    expectCreated(harness, await putTo(harness)(location, { body: content }));
  });
}

function locationTests(factory: RegistryFactory): void {
  const locationOf = async (harness: Harness, headers: Record<string, string> = {}) => {
    const response = await harness.ask(uploads, { method: "POST", headers });
    return response.headers.get("location")?.replace(/uploads\/.*/, "") ?? "";
  };

  test("are relative, under http.host, or as a proxy says", async () => {
    const forwarded = { "X-Forwarded-Proto": "https", "X-Forwarded-Host": "r.example.com, inner" };
    {
      await using harness = await startHarness(factory, { relativeUrls: true });
      expect(await locationOf(harness, forwarded)).toBe("/v2/team/app/blobs/");
    }
    {
      await using harness = await startHarness(factory, { host: "https://x.example.com:8443/" });
      const expected = "https://x.example.com:8443/v2/team/app/blobs/";
      expect(await locationOf(harness, forwarded)).toBe(expected);
    }
    await using harness = await startHarness(factory);
    expect(await locationOf(harness, forwarded)).toBe("https://r.example.com/v2/team/app/blobs/");
    const standard = {
      Forwarded: 'for=1.2.3.4;proto=https;host="f.example.com:444"',
      ...forwarded,
    };
    expect(await locationOf(harness, standard)).toBe(
      "https://f.example.com:444/v2/team/app/blobs/",
    );
    const nonsense = { "X-Forwarded-Proto": "javascript", "X-Forwarded-Host": "a b/../c" };
    expect(await locationOf(harness, nonsense)).toBe(`${harness.origin}/v2/team/app/blobs/`);
  });

  test("with http.prefix", async () => {
    await using harness = await startHarness(factory, { prefix: "/reg/", relativeUrls: true });
    const response = await harness.ask(`/reg${uploads}`, { method: "POST" });
    expect(response.headers.get("location")).toStartWith("/reg/v2/team/app/blobs/uploads/");
    expect((await harness.go(response.headers.get("location"))).status).toBe(204);
    expect((await harness.ask(uploads, { method: "POST" })).status).toBe(404);
  });

  test("a _state must be right where there is one", async () => {
    await using harness = await startHarness(factory);
    const location = await begin(harness);
    const [bare = ""] = location.split("?");
    expect((await harness.go(bare)).status).toBe(204);
    for (const state of ["", "bad", `${location.split("_state=")[1]}x`]) {
      const response = await harness.go(`${bare}?_state=${state}`);
      expect(response.status).toBe(404);
      expect((await errorIn(response)).code).toBe("BLOB_UPLOAD_INVALID");
    }
  });

  test("without a secret there is no _state and none is checked", async () => {
    await using harness = await startHarness(factory, { secret: null });
    const location = await begin(harness);
    expect(location).not.toContain("?");
    expect((await harness.go(`${location}?_state=anything`)).status).toBe(204);
  });
}
