// What a request to a CA comes to when it fails: a reason that the log can tell an operator. The library
// repeats requests by itself, and has no words for some of their ends.
import { axios, setLogger } from "acme-client";

/** For longer the library does not wait before it repeats what a CA refused for now. */
const waitSecondsMax = 60;

/** For all requests of this thread. To be called once. */
export function prepareRequests(): void {
  refuseLongWaits();
  nameFailures();
}

/** Else it waits for as long as a CA says, hours, and what the CA had to say would never be known. */
function refuseLongWaits(): void {
  axios.defaults.transformResponse = [
    function (this: object, data: unknown, headers) {
      const seconds = Number(headers["retry-after"]);
      if (seconds > waitSecondsMax) Object.assign(this, { retryAttempt: Infinity });
      return data;
    },
    ...[axios.defaults.transformResponse ?? []].flat(),
  ];
}

/** Of a connection that fails the library tells its own log alone, and then stumbles over the missing answer. */
function nameFailures(): void {
  let failure: string | null = null;
  setLogger((line) => {
    const [, code, url] = /^Caught (\w+), retry .* to URL (\S+)$/.exec(line) ?? [];
    if (code !== undefined) failure = `no answer from ${url}: ${code}`;
  });
  axios.interceptors.response.use(null, (error: unknown) => {
    throw error instanceof TypeError && failure !== null
      ? new Error(failure, { cause: error })
      : error;
  });
}
