// `registry reindex [config.yml]`: builds the index again from the tree; beside a running server it lets
// the server compare the two once more. What was odd is in the log.
import { runRootCommand } from "./root-command.ts";

export async function runReindex(path: string | undefined, version: string): Promise<number> {
  const code = await runRootCommand({
    version,
    path,
    request: () => ({ command: "reindex", options: {} }),
    hear: () => undefined,
  });
  if (code === 0) process.stdout.write("the index agrees with the tree\n");
  return code;
}
