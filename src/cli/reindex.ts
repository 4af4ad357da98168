// `registry reindex [config.yml]`: builds the index again from the tree; beside a running server it lets
// the server compare the two once more. What was odd is in the log.
import type { ReindexProgress } from "../takeover/reindex-progress.ts";
import { runRootCommand } from "./root-command.ts";

export async function runReindex(path: string | undefined, version: string): Promise<number> {
  const code = await runRootCommand({
    version,
    path,
    request: (_config, progress) => ({ command: "reindex", options: { progress } }),
    hear: (told, { bar }) => {
      // What the owner tells is what its comparison says: the same program, or one that says so.
      const { isFinishing, blobs, blobsTotal } = told as ReindexProgress;
      const what = isFinishing ? "looking for what nothing refers to" : "walking the tree";
      bar.update({ what, value: blobs, total: isFinishing ? null : blobsTotal, unit: "blobs" });
    },
  });
  if (code === 0) process.stdout.write("the index agrees with the tree\n");
  return code;
}
