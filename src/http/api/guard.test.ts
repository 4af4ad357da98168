// How often credentials are checked: a password that is wrong counts once.
import { expect, test } from "bun:test";
import type { AccessController, Decision, Wanted } from "../../registry/ports/access.ts";
import { Limits } from "../limits/limits.ts";
import { noLimits } from "../limits/options.ts";
import type { Env } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { guard } from "./guard.ts";

async function askedOf(authorization: string | null, decision: Decision): Promise<string[]> {
  const asked: string[] = [];
  const controller: AccessController = {
    passwordRealm: "r",
    decide: async (_credentials, wanted: readonly Wanted[]) => {
      asked.push(wanted.map(({ kind }) => kind).join());
      return decision;
    },
  };
  const limits = new Limits(noLimits);
  const env = { access: { controller, issuer: null }, limits } as unknown as Env;
  const headers: Record<string, string> = {};
  if (authorization !== null) headers["Authorization"] = authorization;
  const request = new Request("http://registry/api/v1/repositories/a", { headers });
  const guarded = guard(env, {
    request,
    operation: { id: "getRepository" },
    parameters: { name: "a" },
    caller: "127.0.0.1",
  });
  expect(guarded).rejects.toThrow(HttpError);
  await guarded.catch(() => undefined);
  return asked;
}

const challenge: Decision = { kind: "challenge", challenge: { scheme: "basic", realm: "r" } };

test("a wrong password, or none, is not checked again for an admin's", async () => {
  expect(await askedOf("Basic YTpi", challenge)).toEqual(["repository"]);
  expect(await askedOf(null, challenge)).toEqual(["repository"]);
});

test("who is known may be an admin, and so may a token that says nothing of the repository", async () => {
  const denied: Decision = { kind: "denied", user: "a" };
  expect(await askedOf("Basic YTpi", denied)).toEqual(["repository", "admin"]);
  expect(await askedOf("Bearer x", challenge)).toEqual(["repository", "admin"]);
});
