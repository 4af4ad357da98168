// The commands on robot tokens, as the owner of the root carries them out: make one, list them, revoke
// one. The secret goes back to whoever asked, once, and nowhere else.
import { z } from "zod";
import { parseGlobs } from "../oci/index.ts";
import type { RobotTokenUse, TokenIndex } from "../registry/ports/token-index.ts";
import { makeRobotToken } from "./robot-tokens.ts";

/** Who gives the command, for the audit line; an older command does not say. */
const by = z.string().max(200).nullish();

const action = z.enum(["pull", "push", "delete", "admin"]);

const requestSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("create"),
    user: z.string().min(1).max(255),
    repositories: z.array(z.string()).max(100),
    actions: z.array(action).min(1),
    /** From now; null: it never ends. */
    lifeMs: z.number().positive().nullable(),
    by,
  }),
  z.object({ kind: z.literal("list") }),
  z.object({ kind: z.literal("revoke"), id: z.string(), by }),
]);

export type TokenCommand = z.infer<typeof requestSchema>;

export type TokenEvent =
  | { readonly kind: "created"; readonly token: TokenView; readonly password: string }
  | { readonly kind: "token"; readonly token: TokenView }
  | { readonly kind: "revoked"; readonly id: string }
  | { readonly kind: "unknown"; readonly id: string }
  | { readonly kind: "full" };

/** Null: it does not say. */
export function tokenCommandBy(options: unknown): string | null {
  return z.object({ by }).safeParse(options).data?.by ?? null;
}

/** Without the hash of the secret: it is nobody's business. */
export type TokenView = Omit<RobotTokenUse, "secretHash">;

const pageTokens = 500;

/** Returns the exit code. @throws GlobError, ZodError for requests that no command of ours makes. */
export async function runTokenCommand(
  parts: { readonly index: TokenIndex; readonly nowMs: number },
  options: unknown,
  tell: (event: TokenEvent) => Promise<void>,
): Promise<number> {
  const { index, nowMs } = parts;
  const request = requestSchema.parse(options);
  if (request.kind === "revoke") {
    const { id } = request;
    const was = await index.revokeToken(id);
    await tell({ kind: was ? "revoked" : "unknown", id });
    return was ? 0 : 1;
  }
  if (request.kind === "list") {
    await tellAll(index, tell);
    return 0;
  }
  const { user, repositories, actions, lifeMs } = request;
  parseGlobs(repositories);
  const expiresAtMs = lifeMs === null ? null : nowMs + lifeMs;
  const wanted = { user, repositories, actions, createdAtMs: nowMs, expiresAtMs };
  const { token, password } = makeRobotToken(wanted);
  if (!(await index.createToken(token))) {
    await tell({ kind: "full" });
    return 1;
  }
  await tell({ kind: "created", token: viewOf({ ...token, lastUsedAtMs: null }), password });
  return 0;
}

async function tellAll(
  index: TokenIndex,
  tell: (event: TokenEvent) => Promise<void>,
): Promise<void> {
  let after: string | null = null;
  for (;;) {
    const page: readonly RobotTokenUse[] = await index.listTokens({ after, limit: pageTokens });
    for (const token of page) await tell({ kind: "token", token: viewOf(token) });
    after = page.at(-1)?.id ?? null;
    if (after === null || page.length < pageTokens) return;
  }
}

function viewOf(token: RobotTokenUse): TokenView {
  const { secretHash: _, ...rest } = token;
  return rest;
}
