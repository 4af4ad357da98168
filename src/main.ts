// Starts the command line, nothing else.
// oxlint-disable-next-line import/no-unassigned-import -- the first thing of all is what it does
import "./cli/hang-up.ts";
import { writeSync } from "node:fs";
import { runProgram } from "./cli/program.ts";

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever read has had enough (`| head`): that ends the command, quietly.
    if (error.code === "EPIPE") process.exit(process.exitCode ?? 0);
    if (stream === process.stdout) {
      try {
        writeSync(2, `registry: standard output cannot be written: ${error.message}\n`);
      } catch {
        // Nobody can be told: both are on the same full disk, say. The exit code says it.
      }
    }
    process.exit(1);
  });
}

process.exitCode = await runProgram(process.argv.slice(2));
