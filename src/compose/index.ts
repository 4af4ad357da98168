// The only room that knows every room: configuration in, running parts out. Decides nothing that a room
// could decide for itself. One file for each thing that is put together; `root.ts` opens a root, `serve.ts`
// serves it. Only the command line, and tests, import this room.
export {
  askToReload,
  rootDirectoryOf,
  type RootRequest,
  runOnRoot,
  serve,
  type Serving,
} from "./serve.ts";
