// Metrics as Prometheus reads them: they say what happened, and however many names, paths and methods
// clients come up with, there are never more series.
import { describe, expect, test } from "bun:test";
import { askOwner } from "../../src/owner/control-socket.ts";
import { pushImage, sampleOf, samplesIn, startServed } from "./served.ts";

describe("metrics", () => {
  test("say what was pushed, pulled, deleted and collected", async () => {
    await using served = await startServed();
    const { origin } = served;
    const digest = await pushImage(origin, "team/app", "a layer of 23 bytes ...");
    for (let n = 0; n < 3; n++)
      await (await fetch(`${origin}/v2/team/app/manifests/latest`)).text();
    await fetch(`${origin}/v2/team/none/manifests/latest`);
    const route = "/v2/{name}/manifests/{reference}";
    let metrics = await served.debug("/metrics");
    const told = (series: string): number | null => sampleOf(metrics, series);
    const requests = (method: string, code: number): number | null =>
      told(`plimsoll_http_requests_total{route="${route}",method="${method}",code="${code}"}`);
    expect([requests("GET", 200), requests("GET", 404), requests("PUT", 201)]).toEqual([3, 1, 1]);
    expect(
      told(`plimsoll_http_request_duration_seconds_count{route="${route}",method="GET"}`),
    ).toBe(4);
    expect(told("plimsoll_http_requests_in_progress")).toBe(0);
    expect(told("plimsoll_uploads_receiving")).toBe(0);
    expect([told("plimsoll_blobs"), told("plimsoll_manifests")]).toEqual([3, 1]);
    expect([told("plimsoll_repositories"), told("plimsoll_upload_sessions")]).toEqual([1, 0]);
    const bytes = told("plimsoll_blob_bytes");
    expect(told('plimsoll_namespace_logical_bytes{namespace="team"}')).toBe(bytes);
    expect(told("plimsoll_http_received_bytes_total")).toBe(bytes);
    expect(told("plimsoll_storage_written_bytes_total")).toBe(bytes);
    expect(told("plimsoll_http_sent_bytes_total")).toBeGreaterThan(3 * 200);
    expect(told('plimsoll_cache_hits_total{cache="content"}')).toBeGreaterThanOrEqual(3);
    expect(told('plimsoll_cache_hits_total{cache="index"}')).toBeGreaterThanOrEqual(1);
    const operation = (name: string): number | null =>
      told(`plimsoll_index_operation_duration_seconds_count{operation="${name}"}`);
    expect([operation("finishUpload"), operation("acceptManifest")]).toEqual([2, 1]);
    expect(operation("findTag")).toBe(4);
    expect(told("plimsoll_index_up")).toBe(1);
    expect(told("process_resident_memory_bytes")).toBeGreaterThan(1e6);
    // 0 where it has not been measured yet.
    expect(told("nodejs_eventloop_lag_p99_seconds")).toBeGreaterThanOrEqual(0);

    await fetch(`${origin}/v2/team/app/manifests/${digest}`, { method: "DELETE" });
    metrics = await served.debug("/metrics");
    expect(told('plimsoll_collection_queue_length{queue="blobs"}')).toBeGreaterThanOrEqual(3);
    await Bun.sleep(20);
    metrics = await served.debug("/metrics");
    const age = 'plimsoll_collection_oldest_candidate_age_seconds{queue="blobs"}';
    expect(told(age)).toBeGreaterThan(0.01);
    const options = { untagged: false, full: false, dryRun: false, foreignGraceMs: 0 };
    const request = { command: "garbage-collect", options: { ...options, listing: "nothing" } };
    const asker = { tell: () => Promise.resolve(), signal: new AbortController().signal };
    expect(await askOwner(served.root, request, asker)).toBe(0);
    metrics = await served.debug("/metrics");
    const runs = 'plimsoll_collection_runs_total{outcome="completed",asked_by="command"}';
    expect(told(runs)).toBe(1);
    expect(told("plimsoll_collection_blobs_removed_total")).toBe(3);
    expect(told("plimsoll_collection_reclaimed_bytes_total")).toBe(bytes);
    expect([told("plimsoll_blobs"), told("plimsoll_repositories"), told(age)]).toEqual([0, 0, 0]);
  });

  test("however much clients make up, the series stay as many", async () => {
    await using served = await startServed();
    const { origin } = served;
    const hex = "0123456789abcdef";
    const digest = `sha256:${hex.repeat(4)}`;
    const ask = async (n: number): Promise<void> => {
      const name = `n${n}/${n % 7 === 0 ? "x".repeat(n % 200) : "app"}${n}`;
      const paths = [
        `/v2/${name}/manifests/t${n}`,
        `/v2/${name}/manifests/${digest.slice(0, -6)}${String(n).padStart(6, "0")}`,
        `/v2/${name}/blobs/${digest}?x=${n}`,
        `/v2/${name}/tags/list`,
        `/v2/${name}/referrers/${digest}`,
        `/v2/${name}/blobs/uploads/${n}`,
        `/some/where/${n}`,
        `/v2/UPPER${n}/manifests/x`,
        `/v2/%ff${n}/manifests/x`,
      ];
      const methods = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE"];
      const method = methods[n % methods.length] ?? "GET";
      await Promise.all(
        paths.map((path) =>
          fetch(origin + path, { method }).then(
            (response) => response.text(),
            // Methods that the client or the runtime refuses.
            () => undefined,
          ),
        ),
      );
    };
    const askAll = async (from: number): Promise<number> => {
      for (let n = from; n < from + 320; n += 16) {
        await Promise.all(Array.from({ length: 16 }, (_, at) => ask(n + at)));
      }
      return samplesIn(await served.debug("/metrics")).length;
    };
    const before = await askAll(0);
    const after = await askAll(10_000);
    expect(after).toBe(before);
    expect(before).toBeLessThan(1_500);
    const metrics = await served.debug("/metrics");
    expect(metrics).not.toContain(hex);
    expect(metrics).not.toContain("n10000");
  }, 60_000);

  test("are not there unless asked for, and elsewhere when asked for elsewhere", async () => {
    await using without = await startServed("", { debug: "" });
    expect((await fetch(`${without.debugOrigin}/metrics`)).status).toBe(404);
    await using other = await startServed("", { debug: ", prometheus: {enabled: true, path: /m}" });
    expect((await fetch(`${other.debugOrigin}/metrics`)).status).toBe(404);
    expect(await other.debug("/m")).toContain("plimsoll_build_info");
    expect((await fetch(`${other.origin}/m`)).status).toBe(404);
  });
});
