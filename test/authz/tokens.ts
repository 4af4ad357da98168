// Tokens of the registry's own issuer: those that it gives out, and those that somebody else made up, some of
// them with its very key.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exportSPKI, importJWK, type JWK, SignJWT } from "jose";
import type { MadeRobot } from "./callers.ts";
import type { Ask } from "./content.ts";
import type { Place } from "./guarded-registry.ts";
import type { Action, Caller, Needs, Setting } from "./oracle.ts";
import { verdict } from "./oracle.ts";
import { repositories } from "./shapes.ts";

export type Claims = NonNullable<Caller["claims"]>;

const everyAction: readonly Action[] = ["pull", "push", "delete"];

function everywhere(actions: readonly string[]): Claims {
  return Object.fromEntries(repositories.map((name) => [`repository:${name}`, actions]));
}

/** All that there is to ask for. */
export const everyScope: Claims = {
  ...everywhere(everyAction),
  "registry:catalog": ["*"],
  "registry:admin": ["*"],
};

/** What a client asks a token for. */
export const scopeSets: readonly (readonly [string, Claims])[] = [
  ["everything", everyScope],
  ["pull everywhere", everywhere(["pull"])],
  ["all of one repository", { "repository:team-a/app": everyAction }],
  ["push and delete of one", { "repository:team-a/app": ["push", "delete"] }],
  ["the catalogue", { "registry:catalog": ["*"] }],
  ["administration", { "registry:admin": ["*"] }],
  ["nothing", {}],
];

interface TokenAnswer {
  readonly token: string;
  readonly scope: string;
}

/** Asks as a client does. @throws when the issuer gives none */
export async function tokenFor(
  ask: Ask,
  authorization: string | null,
  claims: Claims,
): Promise<TokenAnswer> {
  const scopes = Object.entries(claims).map(
    ([scope, actions]) => `scope=${scope}:${actions.join(",")}`,
  );
  const headers = authorization === null ? {} : { Authorization: authorization };
  const answer = await ask(`/auth/token?service=plimsoll&${scopes.join("&")}`, { headers });
  if (answer.status !== 200) throw new Error(`no token: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as TokenAnswer;
}

/** What the issuer has to grant of what was asked for, as the scope in its answer says it. */
export function grantedScope(setting: Setting, caller: Caller, claims: Claims): string {
  const may = (needs: Needs): boolean =>
    verdict(setting, { ...caller, claims: null }, { needs, isApi: false }) === "in";
  return Object.entries(claims)
    .flatMap(([scope, actions]) => {
      const [type = "", name = ""] = scope.split(":");
      if (type === "registry") {
        return may({ kind: name as "catalog" | "admin" }) ? [`${scope}:*`] : [];
      }
      const granted = everyAction.filter(
        (action) =>
          actions.includes(action) &&
          may({ kind: "repository", repository: name, actions: [action] }),
      );
      return granted.length === 0 ? [] : [`${scope}:${granted.join(",")}`];
    })
    .join(" ");
}

export interface SigningKey {
  readonly kid: string;
  readonly jwk: JWK & Readonly<Record<"kty" | "crv" | "x" | "y" | "d", string>>;
}

/** The key that the registry signs with, as whoever has stolen its file has it. */
export function stolenKey({ root }: Place): SigningKey {
  const text = readFileSync(join(root, "plimsoll/issuer-keys.json"), "utf8");
  const [key] = (JSON.parse(text) as { readonly keys: readonly SigningKey[] }).keys;
  if (key === undefined) throw new Error("the registry has no key");
  return key;
}

interface Making {
  readonly payload?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly key?: JWK;
  /** From now, in seconds; null: without one. */
  readonly lifeSeconds?: number | null;
}

export function accessOf(claims: Claims): readonly object[] {
  return Object.entries(claims).map(([scope, actions]) => {
    const [type, name] = scope.split(":");
    return { type, name, actions };
  });
}

/** A token for ada, who may do the most; changed as is said. */
export async function made(own: SigningKey, making: Making = {}): Promise<string> {
  const { payload = {}, header = {}, key = own.jwk, lifeSeconds = 300 } = making;
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const signing = new SignJWT({
    iss: "plimsoll",
    aud: "plimsoll",
    sub: "ada",
    nbf: nowSeconds - 10,
    access: accessOf(everyScope),
    ...(lifeSeconds === null ? {} : { exp: nowSeconds + lifeSeconds }),
    ...payload,
  }).setProtectedHeader({ alg: "ES256", kid: own.kid, typ: "JWT", ...header });
  return await signing.sign(await importJWK(key, "ES256"));
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** With a header that jose would not write. */
async function signedRaw(own: SigningKey, header: object, payload: string): Promise<string> {
  const signed = `${encoded({ alg: "ES256", kid: own.kid, ...header })}.${payload}`;
  const key = await importJWK(own.jwk, "ES256");
  if (!(key instanceof CryptoKey)) throw new Error("no key");
  const how = { name: "ECDSA", hash: "SHA-256" };
  const signature = await crypto.subtle.sign(how, key, new TextEncoder().encode(signed));
  return `${signed}.${Buffer.from(signature).toString("base64url")}`;
}

/** Signed by what everybody has: the public half, taken for a shared secret. */
function byHmac(own: SigningKey, token: string, secret: string): string {
  const [, payload = ""] = token.split(".");
  const signed = `${encoded({ alg: "HS256", kid: own.kid, typ: "JWT" })}.${payload}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** None of them may be let in, whatever it says. */
export async function forgedTokens(
  own: SigningKey,
): Promise<readonly (readonly [string, string])[]> {
  const { generateKeyPair, exportJWK } = await import("jose");
  const other = await exportJWK((await generateKeyPair("ES256", { extractable: true })).privateKey);
  const { d: _, ...open } = own.jwk;
  const publicKey = await importJWK(open, "ES256", { extractable: true });
  if (!(publicKey instanceof CryptoKey)) throw new Error("no key");
  const right = await made(own);
  const [header = "", payload = "", signature = ""] = right.split(".");
  const changed = { ...(JSON.parse(atob(payload)) as object), jti: "changed" };
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const { kid } = own;
  return [
    ["expired", await made(own, { lifeSeconds: -70 })],
    ["without an end", await made(own, { lifeSeconds: null })],
    ["of the future", await made(own, { payload: { nbf: nowSeconds + 120 } })],
    ["for another service", await made(own, { payload: { aud: "other" } })],
    ["for other services", await made(own, { payload: { aud: ["other", "plimsoll.example"] } })],
    ["for nobody", await made(own, { payload: { aud: [] } })],
    ["of another issuer", await made(own, { payload: { iss: "other" } })],
    ["by another key under the right name", await made(own, { key: other })],
    ["by another key", await made(own, { key: other, header: { kid: "other" } })],
    ["with another key in it", await made(own, { key: other, header: { kid, jwk: other } })],
    ["under another name", await made(own, { header: { kid: "other" } })],
    ["with a part that must be understood", await signedRaw(own, { crit: ["x"], x: 1 }, payload)],
    ["not signed", `${encoded({ alg: "none", kid })}.${payload}.`],
    ["not signed, in capitals", `${encoded({ alg: "NONE", kid })}.${payload}.${signature}`],
    ["with no algorithm", `${encoded({ kid })}.${payload}.${signature}`],
    ["of another algorithm", `${encoded({ alg: "RS256", kid })}.${payload}.${signature}`],
    ["by the public key as a secret", byHmac(own, right, await exportSPKI(publicKey))],
    ["by its coordinates as a secret", byHmac(own, right, own.jwk.x)],
    ["by nothing as a secret", byHmac(own, right, "")],
    ["changed", `${header}.${encoded(changed)}.${signature}`],
    ["cut off", right.slice(0, -4)],
    ["without a signature", `${header}.${payload}.`],
    ["twice", `${right}, Bearer ${right}`],
    ["of a user whose name is no text", await made(own, { payload: { sub: 5 } })],
  ];
}

/** Signed with the registry's own key for somebody who is nobody here any more. */
export async function disownedTokens(
  own: SigningKey,
  robots: { readonly revoked: MadeRobot; readonly expired: MadeRobot },
): Promise<readonly (readonly [string, string])[]> {
  return [
    ["under no name", await made(own, { header: { kid: undefined } })],
    ["of a user who is not in the file", await made(own, { payload: { sub: "eve" } })],
    [
      "of a robot that was revoked",
      await made(own, { payload: { sub: "ci", robot: robots.revoked.id } }),
    ],
    [
      "of a robot whose time is over",
      await made(own, { payload: { sub: "ci", robot: robots.expired.id } }),
    ],
    [
      "of a robot that never was",
      await made(own, { payload: { sub: "ada", robot: "0123456789abcdef" } }),
    ],
  ];
}

/** Signed with the registry's key, and odd: they say more than their users may, or less than is usual. */
export async function oddTokens(own: SigningKey, robot: MadeRobot): Promise<readonly Caller[]> {
  const caller = (name: string, token: string, more: Partial<Caller> = {}): Caller => ({
    name,
    authorization: `Bearer ${token}`,
    who: { kind: "user", name: "ann" },
    claims: everyScope,
    ...more,
  });
  const sub = "ann";
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const star = everywhere(["*"]);
  const access = (value: unknown) => ({ payload: { sub, access: value } });
  const malformed = [
    { type: "repository", name: "team-a/app", actions: "pull,push" },
    { type: "repository", name: ["team-a/app"], actions: ["pull"] },
    { type: "repository:team-a/app", actions: ["pull"] },
    { type: "Repository", name: "team-a/app", actions: ["pull"] },
    { type: "repository", name: "team-a/*", actions: ["pull"] },
    { type: "repository", name: "team-a/app", actions: ["PULL", 5, null] },
    { type: "registry", name: "admin", actions: ["admin"] },
    null,
    "repository:team-a/app:pull",
  ];
  return [
    caller("a token that says more than ann may", await made(own, { payload: { sub } })),
    caller(
      "one for several services",
      await made(own, { payload: { sub, aud: ["x", "plimsoll"] } }),
    ),
    caller(
      "one that is over since half a minute",
      await made(own, { payload: { sub }, lifeSeconds: -30 }),
    ),
    caller(
      "one that begins in half a minute",
      await made(own, { payload: { sub, nbf: nowSeconds + 30 } }),
    ),
    caller("one with stars for actions", await made(own, access(accessOf(star))), { claims: star }),
    caller("one that grants nothing readable", await made(own, access(malformed)), { claims: {} }),
    caller("one whose rights are no list", await made(own, access({ type: "x" })), { claims: {} }),
    caller("one of nobody", await made(own, { payload: { sub: "" } }), { who: { kind: "nobody" } }),
    caller("one without a name", await made(own, { payload: { sub: undefined } }), {
      who: { kind: "nobody" },
    }),
    caller("one of a robot", await made(own, { payload: { sub: "ci", robot: robot.id } }), {
      who: robot.who,
    }),
  ];
}
