// What compose/pressure.ts puts together.
export * from "./disk-watch.ts";
export * from "./relief.ts";
export * from "./stored-bytes.ts";
