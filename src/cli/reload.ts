// `registry reload [config.yml]`: has the running server take its configuration as it is now, and says what
// became of it. The server reads its own file, the one that it was started with.
import { askToReload } from "../compose/index.ts";
import { prepare } from "./prepare.ts";

export async function runReload(path: string | undefined): Promise<number> {
  const loaded = prepare(path);
  if (loaded === null) return 1;
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      interrupted.abort();
    });
  }
  try {
    return await askToReload(loaded.config, {
      signal: interrupted.signal,
      // What the owner tells is what its command says: the same program, or one that says so.
      tell: async (event) => {
        const { level, text } = event as { readonly level: string; readonly text: string };
        if (level === "info") process.stdout.write(`${text}\n`);
        else process.stderr.write(`${text}\n`);
      },
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${interrupted.signal.aborted ? "interrupted" : message}\n`);
    return 1;
  }
}
