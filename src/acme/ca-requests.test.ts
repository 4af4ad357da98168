// Run against the library itself: its next version may fail in other words.
import { expect, test } from "bun:test";
import { axios, Client, crypto as acmeCrypto } from "acme-client";
import { prepareRequests } from "./ca-requests.ts";

prepareRequests();
// It repeats what failed at once, and only twice.
Object.assign(axios.defaults, { acmeSettings: { retryMaxAttempts: 2, retryDefaultDelay: 0 } });

async function failureAt(directoryUrl: string): Promise<string> {
  const accountKey = await acmeCrypto.createPrivateEcdsaKey();
  const client = new Client({ directoryUrl, accountKey });
  const terms = client.getTermsOfServiceUrl().then(String);
  return await terms.catch((error: unknown) => String(error));
}

test("a CA that cannot be reached is named, and why", async () => {
  const url = "http://127.0.0.1:1/directory";
  expect(await failureAt(url)).toBe(`Error: no answer from ${url}: ECONNREFUSED`);
});
