// Many who read the metrics at once cost what one costs.
import { expect, test } from "bun:test";
import { Metrics } from "./index.ts";

test("who asks while the metrics are being written gets what is written", async () => {
  const metrics = new Metrics("1.2.3");
  const first = metrics.text();
  expect(metrics.text()).toBe(first);
  const text = await first;
  expect(text).toContain('plimsoll_build_info{version="1.2.3"} 1\n');
  expect(text).toEndWith("\n");
  metrics.requests.begun();
  expect(await metrics.text()).toContain("plimsoll_http_requests_in_progress 1\n");
});
