// What is wrong with a command's request, in words: it is checked by schemas, whose errors are lists of data.
import { z } from "zod";

/** Anything else is returned as it is. */
export function requestProblem(command: string, error: unknown): unknown {
  if (!(error instanceof z.ZodError)) return error;
  const problems = error.issues.slice(0, 5).map(({ path, message }) => {
    const key = path.join(".");
    return key === "" ? message : `${key}: ${message}`;
  });
  return new Error(`registry ${command}: ${problems.join("; ")}`, { cause: error });
}
