// Why a CA cannot be reached: no name, nobody there, a certificate that is not trusted. The library (acme-client)
// loses that, and fails over the answer that it has not got; so who failed asks here. It sends nothing else.

const askedMsMax = 20_000;

/** Null: it can be reached, and something else was wrong. */
export async function whyUnreachable(directoryUrl: string): Promise<string | null> {
  try {
    const answer = await fetch(directoryUrl, { signal: AbortSignal.timeout(askedMsMax) });
    await answer.body?.cancel();
    return null;
  } catch (error) {
    const { message, code } = error as { readonly message: string; readonly code?: unknown };
    const reason =
      typeof code === "string" && !message.startsWith(code) ? `${code}: ${message}` : message;
    return `${directoryUrl} cannot be reached: ${reason}`;
  }
}
