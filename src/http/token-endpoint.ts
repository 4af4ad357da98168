// The registry's own `/auth/token`: GET with a password in the Authorization header, or POST of an OAuth2
// form, as clients ask; the answer is a token and how long it lives.
// Source: distribution, "Token Authentication Specification", "OAuth2 Token Authentication".
import type { Credentials, TokenAnswer } from "../registry/ports/access.ts";
import type { Access, Env } from "./context.ts";
import { credentialsOf } from "./credentials.ts";
import { HttpError } from "./http-error.ts";
import { emptyReply, jsonReply, type Reply } from "./reply.ts";
import { readBoundedBody } from "./request-body.ts";

/** A form with a hundred scopes. */
const formBytesMax = 64 * 1024;

export function isTokenPath({ access, options }: Env, path: string): boolean {
  const issuer = access?.issuer;
  return (
    issuer !== null && issuer !== undefined && path === options.prefix.slice(0, -1) + issuer.path
  );
}

interface AskedToken {
  readonly request: Request;
  readonly query: string;
  /** The address: nobody is known yet. */
  readonly caller: string;
}

/** @throws HttpError, UnavailableError, TooManyRequestsError */
export async function issueToken(
  { limits }: Pick<Env, "limits">,
  { issuer, controller }: Access,
  asked: AskedToken,
): Promise<Reply> {
  const { method } = asked.request;
  const allow = "GET, POST";
  if (method === "OPTIONS") return emptyReply(200, { Allow: allow });
  if (issuer === null || (method !== "GET" && method !== "POST")) {
    throw new HttpError(`${method.slice(0, 20)} is not supported here`, {
      status: 405,
      code: "UNSUPPORTED",
      headers: { Allow: allow },
    });
  }
  const isForm = method === "POST";
  const realm = controller.passwordRealm ?? "";
  const parameters = new URLSearchParams(isForm ? await formOf(asked.request) : asked.query);
  const credentials = isForm
    ? formCredentials(parameters, realm)
    : headerCredentials(asked.request.headers.get("authorization"), realm);
  const answer = await limits.logins.pass(
    { caller: asked.caller, credentials, controller },
    () => issuer.issue({ credentials, scopes: parameters.getAll("scope") }),
    ({ kind }) => kind === "challenge",
  );
  return replyOf(answer, isForm);
}

async function formOf(request: Request): Promise<string> {
  const type = (request.headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") {
    throw oauthError("expected a body of application/x-www-form-urlencoded");
  }
  return new TextDecoder().decode(await readBoundedBody(request, formBytesMax));
}

function formCredentials(parameters: URLSearchParams, realm: string): Credentials {
  const grant = parameters.get("grant_type");
  if (grant !== "password") {
    throw oauthError(
      `grant_type "${(grant ?? "").slice(0, 40)}" is not known here; expected password`,
    );
  }
  const user = parameters.get("username") ?? "";
  const password = parameters.get("password") ?? "";
  if (user === "") throw wrongCredentials(realm);
  return { kind: "basic", user, password };
}

/**
 * Whoever shows something wants to be somebody: where nothing can be made of it, a token for nobody would
 * let them think that they are. Elsewhere it counts as not being there.
 */
function headerCredentials(header: string | null, realm: string): Credentials {
  const credentials = credentialsOf(header);
  if (credentials.kind === "none" && (header ?? "").trim() !== "") throw wrongCredentials(realm);
  return credentials;
}

function oauthError(message: string): HttpError {
  return new HttpError(message, { status: 400, code: "UNSUPPORTED" });
}

function wrongCredentials(realm: string): HttpError {
  const quoted = realm.replaceAll(/["\\]/g, "\\$&");
  return new HttpError("authentication required: the user or the password is wrong", {
    status: 401,
    code: "UNAUTHORIZED",
    headers: { "WWW-Authenticate": `Basic realm="${quoted}"` },
    detail: null,
  });
}

function replyOf(answer: TokenAnswer, isForm: boolean): Reply {
  if (answer.kind === "challenge") throw wrongCredentials(answer.realm);
  const { token, scope, expiresInSeconds, issuedAtMs } = answer;
  const times = { expires_in: expiresInSeconds, issued_at: new Date(issuedAtMs).toISOString() };
  const body = isForm
    ? { access_token: token, scope, token_type: "Bearer", ...times }
    : { token, access_token: token, scope, ...times };
  // It is whoever asked's alone.
  return jsonReply(200, body, { "Cache-Control": "no-store" });
}
