// The only room that knows every room: configuration in, running parts out. Decides nothing that a room
// could decide for itself. `root.ts` opens a root, `serve.ts` serves one, `commands.ts` has one worked on;
// the other files put one thing together each. Only the command line, and tests, import this room.
export { askToReload, type RootRequest, runOnRoot } from "./commands.ts";
export { rootDirectoryOf } from "./owned-root.ts";
export { serve, type Serving } from "./serve.ts";
