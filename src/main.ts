// Starts the command line, nothing else.
import { runProgram } from "./cli/program.ts";

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever read has had enough (`| head`): that ends the command, quietly.
    if (error.code === "EPIPE") process.exit(process.exitCode ?? 0);
    throw error;
  });
}

process.exitCode = await runProgram(process.argv.slice(2));
