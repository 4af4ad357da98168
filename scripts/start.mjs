// `npm start`: installs what is missing, then serves with the ready configuration until it is
// stopped. Plain Node, since Bun may not be installed yet.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { ensureInstalledOrExit, packagedProgram, projectDirectory } from "./install.mjs";

/** Ctrl-C reaches this process from the terminal and again from npm: one of them is enough. */
const repeatMs = 500;

ensureInstalledOrExit();

// Its own process group, so that a signal to ours reaches it once and only through us;
// --no-orphans ends it with us when we are killed.
const server = spawn(
  packagedProgram("bun"),
  ["--no-orphans", "src/main.ts", "serve", "config/plimsoll.yml"],
  { cwd: projectDirectory, detached: true, stdio: ["ignore", "inherit", "inherit"] },
);

/** @type {NodeJS.Signals[]} */
const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"];
for (const signal of signals) {
  let forwardedAtMs = -Infinity;
  process.on(signal, () => {
    const nowMs = performance.now();
    if (nowMs - forwardedAtMs < repeatMs) return;
    forwardedAtMs = nowMs;
    server.kill(signal);
  });
}
server.on("error", (error) => {
  console.error(`Cannot start the registry: ${error.message}`);
  process.exitCode = 1;
});
server.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + constants.signals[signal ?? "SIGTERM"];
});
