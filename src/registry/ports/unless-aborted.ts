// Waits for something that others do, and no longer than it is wanted.

/** What the promise resolves with. @throws the signal's reason, once it is aborted */
export async function unlessAborted<Result>(
  promise: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (signal === undefined) return await promise;
  const aborted = Promise.withResolvers<never>();
  const giveUp = (): void => {
    aborted.reject(signal.reason);
  };
  if (signal.aborted) giveUp();
  signal.addEventListener("abort", giveUp);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
