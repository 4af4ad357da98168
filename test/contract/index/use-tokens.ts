// Calls what the index knows of robot tokens and holders of blobs, each method once.
import type { Index } from "../../../src/registry/ports/index.ts";
import { blobNo } from "./world.ts";

export async function useTokens(index: Index): Promise<void> {
  const rights = { repositories: ["a"], actions: ["pull"] as const };
  const token = { id: "t", user: "u", secretHash: "00", createdAtMs: 1, expiresAtMs: null };
  await index.createToken({ ...token, ...rights });
  await index.findToken("t");
  await index.listTokens({ after: null, limit: 9 });
  await index.noteTokenUse("t", 2);
  await index.revokeToken("t");
  await index.listHolders(blobNo(2), { offset: 0, limit: 9 });
}
