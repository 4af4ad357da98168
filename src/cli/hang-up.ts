// SIGHUP, from the first moment of the process on: by default it ends a program, and whoever tells all
// programs of this name to read their configuration again must end neither a server that is still starting
// nor a command that is at work. The server takes it as its operator means it; everybody else ignores it.
// Has an effect when it is imported: nothing may come before it.

let onHangUp: () => void = () => undefined;

process.on("SIGHUP", () => {
  onHangUp();
});

/** What is done from now on instead. */
export function takeHangUps(take: () => void): void {
  onHangUp = take;
}
